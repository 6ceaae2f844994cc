import { validateHeaderName, validateHeaderValue } from 'node:http'
import { extensionProblem } from '../../lib/extension-problem.ts'
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
    ...pathErrors(type, 'model'),
    ...headerErrors(type, [undefined, 'key']),
  ]
}

function wordErrors(type: ProviderType): string[] {
  return Object.entries(words).flatMap(([name, known]) => {
    const value = type[name as Worded] // a key of `words`
    if (value === undefined || Object.hasOwn(known, value)) return []
    return [`'${name}' must be one of: ${Object.keys(known).join(', ')}`]
  })
}

/** Errors of the functions of a type for one target: they may depend on its model and token. */
export function targetErrors(
  type: ProviderType,
  { model, token }: { model: string; token: string | undefined },
): string[] {
  return [...pathErrors(type, model), ...headerErrors(type, [token])]
}

function pathErrors(type: ProviderType, model: string): string[] {
  for (const operation of operations) {
    const wrong = problemIn('path', () =>
      callForms.every((form) => isPath(type.path(operation, { model, form })))
        ? undefined
        : `must return a string that starts with "/", or undefined, for ${JSON.stringify(operation)}`,
    )
    if (wrong !== undefined) return [wrong]
  }
  return []
}

function isPath(path: unknown): boolean {
  return path === undefined || (typeof path === 'string' && path.startsWith('/'))
}

function headerErrors(type: ProviderType, tokens: readonly (string | undefined)[]): string[] {
  const wrong = problemIn('authHeaders', () =>
    tokens.every((token) => areHeaders(type.authHeaders(token)))
      ? undefined
      : 'must return an object of valid header names and strings',
  )
  return wrong === undefined ? [] : [wrong]
}

/** Calls `check`, which calls the function `member` of an extension. Returns what is wrong with the function. */
function problemIn(member: string, check: () => string | undefined): string | undefined {
  try {
    const problem = check()
    return problem && `'${member}' ${problem}`
  } catch (error) {
    return `'${member}' failed: ${extensionProblem(error)}`
  }
}

function areHeaders(headers: unknown): boolean {
  if (!isObject(headers) || headers instanceof Promise) return false
  return Object.entries(headers).every(
    ([name, value]) => value === undefined || (typeof value === 'string' && isHeader(name, value)),
  )
}

function isHeader(name: string, value: string): boolean {
  try {
    validateHeaderName(name)
    validateHeaderValue(name, value)
    return true
  } catch {
    return false
  }
}
