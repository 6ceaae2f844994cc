import { KindGuard, type Static, type TSchema } from '@sinclair/typebox'
import { Value } from '@sinclair/typebox/value'
import { didYouMean } from '../lib/did-you-mean.ts'
import { allowedBy } from '../lib/json/allowed.ts'
import { tightened } from '../lib/json/loose.ts'
import { isObject } from '../lib/json/read.ts'
import { type ModelShell, ModelShellSchema, type Provider, ProviderSchema } from './models-schema.ts'
import { placeBelow } from './places.ts'
import { looksUnexpanded, unexpandedHint } from './unexpanded.ts'

/** What a reading of models-config.json found, each with its place. */
export interface Findings {
  faults: string[]
  warnings: string[]
}

export interface PlacedProvider {
  provider: Provider
  place: string
}

export interface CheckedModel {
  shell: ModelShell
  providers: PlacedProvider[]
  sleeping: PlacedProvider[]
}

/**
 * Checks a model against the schema and gives the parts that are right, so that one fault does not hide another.
 * `parked`: what is missing does not matter yet, what is there must be right.
 */
export function checkModel(
  value: unknown,
  place: string,
  findings: Findings,
  parked = false,
): CheckedModel | undefined {
  const { providers, providers_sleep: sleeping } = isObject(value) ? value : {}
  const shell = checkPart(ModelShellSchema, value, place, findings, parked)
  const checkAll = (list: unknown, name: string): PlacedProvider[] =>
    (Array.isArray(list) ? list : []).flatMap((item: unknown, index) => {
      const itemPlace = `${place}.${name}[${index}]`
      const provider = checkPart(ProviderSchema, item, itemPlace, findings, parked)
      if (!provider) return []
      findings.warnings.push(...providerHints(provider, itemPlace))
      return [{ provider, place: itemPlace }]
    })
  const checked = {
    providers: checkAll(providers, 'providers'),
    sleeping: checkAll(sleeping, 'providers_sleep'),
  }
  return shell ? { shell, ...checked } : undefined
}

function checkPart<Schema extends TSchema>(
  schema: Schema,
  value: unknown,
  place: string,
  findings: Findings,
  parked: boolean,
): Static<Schema> | undefined {
  findings.warnings.push(...misspelt(schema, value, place))
  const tight = tightened(schema, value)
  if (Value.Check(schema, tight)) return tight
  const reported = new Set<string>()
  for (const error of Value.Errors(schema, tight)) {
    if (reported.has(error.path)) continue
    reported.add(error.path)
    const at = placeBelow(place, error.path)
    if (error.value !== undefined)
      findings.faults.push(`${at}: ${shown(error.value, error.schema)} is not ${allowedBy(error.schema)}`)
    else if (!parked) findings.faults.push(`${at}: missing; it must be ${allowedBy(error.schema)}`)
  }
  return undefined
}

/** Objects are open, so an unknown field is no fault; one that is near to a known field is most likely a mistake. */
function misspelt(schema: TSchema, value: unknown, place: string): string[] {
  if (!KindGuard.IsObject(schema) || !isObject(value)) return []
  const known = Object.keys(schema.properties)
  const missing = known.filter((name) => !(name in value))
  return Object.keys(value).flatMap((key) => {
    const hint = known.includes(key) || /^[$_]/.test(key) ? '' : didYouMean(key, missing)
    const at = placeBelow(place, `/${key.replaceAll('~', '~0').replaceAll('/', '~1')}`)
    return hint === '' ? [] : [`${at}: no such field, it has no effect${hint}`]
  })
}

function shown(value: unknown, schema: TSchema): string {
  if (Array.isArray(value)) return 'a list'
  if (isObject(value)) return 'an object'
  if (schema.writeOnly === true) return 'its value'
  const text = JSON.stringify(value)
  return text.length > 80 ? `${text.slice(0, 80)}...` : text
}

/** Values of a provider that are valid and most likely a mistake, each with its path. Values of keys are not shown. */
function providerHints(provider: Provider, place: string): string[] {
  const unexpanded = Object.entries(provider).filter(
    ([name, value]) =>
      typeof value === 'string' && (looksUnexpanded(value) || (name === 'api_host' && namesVariable(value))),
  )
  return [
    ...unexpanded.map(([name]) => `${place}.${name}: ${unexpandedHint}`),
    ...weightHints(provider.weight, `${place}.weight`),
  ]
}

/** In a key a dollar may be just that; no address has one. */
function namesVariable(host: string): boolean {
  return /\$\(?[A-Za-z_]/.test(host)
}

function weightHints(weight: number | undefined, place: string): string[] {
  if (weight === undefined || (weight >= 0 && weight <= 1)) return []
  if (weight < 0) return [`${place}: ${weight} is less than 0 and counts as 0; weights are from 0 to 1`]
  return [
    `${place}: ${weight} is more than 1 and counts as 1; weights are from 0 to 1, so divide all weights of the model by the largest`,
  ]
}
