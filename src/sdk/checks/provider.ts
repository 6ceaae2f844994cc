import { isObject } from '../../lib/json/read.ts'
import type { EngineListing } from '../engine-listings.ts'
import { callForms, operations } from '../operation.ts'
import type { ProviderType } from '../provider.ts'
import { type Members, memberErrors } from './members.ts'

const members: Members<ProviderType> = {
  name: 'string',
  dialect: 'string',
  flavour: 'object',
  path: 'function',
  modelIn: 'string?',
  authHeaders: 'function',
  needsHost: 'boolean',
  defaultHost: 'string?',
  forwardedHeaders: 'list?',
  healthPath: 'string?',
  sleepPath: 'string?',
  listings: 'list?',
  engine: 'string?',
  loadsModels: 'boolean?',
  countDialect: 'string?',
  tokenizes: 'string?',
  loadsOnDemand: 'boolean?',
  collectsWholeAnswers: 'boolean?',
  maxBatch: 'number?',
  autoLimit: 'string?',
  createTransport: 'function?',
}

type Worded = 'modelIn' | 'engine' | 'tokenizes' | 'autoLimit'

/** Known values of members that have only some. */
const words: { readonly [Name in Worded]: Readonly<Record<NonNullable<ProviderType[Name]>, true>> } = {
  modelIn: { path: true },
  engine: { vllm: true, sglang: true, llamacpp: true, ollama: true, lmstudio: true, metrics: true },
  tokenizes: { content: true },
  autoLimit: { one: true, slots: true, queue: true },
}

const listing: Members<EngineListing> = { path: 'string', read: 'function' }

/** Also calls its functions, which are pure, so that one that fails is not found by the first request. */
export function providerErrors(type: ProviderType): string[] {
  const errors = memberErrors(type, members)
  if (errors.length > 0) return errors
  const { listings = [] } = type
  return [
    ...wordErrors(type),
    ...listings.flatMap((each, index) => memberErrors(each, listing, `listings[${index}]`)),
    ...pathErrors(type),
    ...headerErrors(type),
  ]
}

function wordErrors(type: ProviderType): string[] {
  return Object.entries(words).flatMap(([name, known]) => {
    const value = type[name as Worded] // a key of `words`
    if (value === undefined || Object.hasOwn(known, value)) return []
    return [`'${name}' must be one of: ${Object.keys(known).join(', ')}`]
  })
}

function pathErrors(type: ProviderType): string[] {
  const errors = operations.flatMap((operation) => {
    const paths: unknown[] = callForms.map((form) => type.path(operation, { model: 'model', form }))
    return paths.every(isPath)
      ? []
      : [`'path' must return a string that starts with "/", or undefined, for ${JSON.stringify(operation)}`]
  })
  return errors.slice(0, 1)
}

function isPath(path: unknown): boolean {
  return path === undefined || (typeof path === 'string' && path.startsWith('/'))
}

function headerErrors(type: ProviderType): string[] {
  return [undefined, 'key'].every((token) => areHeaders(type.authHeaders(token)))
    ? []
    : ["'authHeaders' must return an object of strings"]
}

function areHeaders(headers: unknown): boolean {
  return (
    isObject(headers) &&
    !(headers instanceof Promise) &&
    Object.values(headers).every((value) => value === undefined || typeof value === 'string')
  )
}
