import { KindGuard, type Static, type TSchema } from '@sinclair/typebox'
import { Value } from '@sinclair/typebox/value'
import { didYouMean } from '../../lib/did-you-mean.ts'
import { schemaError } from '../../lib/json/allowed.ts'
import { coerced } from '../../lib/json/loose.ts'
import { isObject } from '../../lib/json/read.ts'
import { pathBelow, pathOfMember } from '../config-path.ts'
import { looksUnexpanded, unexpandedHint } from '../settings/text.ts'
import {
  type ModelShell,
  ModelShellSchema,
  type Provider,
  ProviderSchema,
  ServedProviderSchema,
} from './schema.ts'

/** Errors and warnings of models-config.json, each with its path. */
export interface Findings {
  errors: string[]
  warnings: string[]
}

export interface ProviderAtPath {
  /** Including members inherited from its server. */
  provider: Provider
  path: string
  /** Its entry in `servers`, and the members that it does not inherit. */
  server?: { id: string; path: string; overridden: ReadonlySet<string> }
}

/** Adds the members that providers inherit from the entries of `servers`. */
export interface ServerMembers {
  /**
   * Returns a provider with `server`, including inherited members. Returns [] if there is no such entry, which is reported, or
   * if that entry is invalid, which `readServers` reports.
   */
  inheritMembers(provider: Partial<Provider>, path: string, findings: Findings): ProviderAtPath[]
}

/** Returns the path at which a provider's member is set or missing: that of the provider or that of its server. */
export function memberPath({ path, server }: ProviderAtPath, member: string): string {
  return `${server === undefined || server.overridden.has(member) ? path : server.path}.${member}`
}

export interface CheckedModel {
  shell: ModelShell
  providers: ProviderAtPath[]
  standby: ProviderAtPath[]
}

/**
 * Validates a model and returns its valid parts, so that one error does not hide another.
 * `isInactive`: missing members are ignored, but present ones must be valid.
 */
export function checkModel(
  value: unknown,
  path: string,
  {
    findings,
    servers,
    isInactive = false,
  }: { findings: Findings; servers: ServerMembers; isInactive?: boolean },
): CheckedModel | undefined {
  const { providers, providers_sleep: standby } = isObject(value) ? value : {}
  const shell = checkPart(ModelShellSchema, value, path, findings, isInactive)
  const checkAll = (list: unknown, name: string): ProviderAtPath[] =>
    (Array.isArray(list) ? list : []).flatMap((item: unknown, index) => {
      const itemPath = `${path}.${name}[${index}]`
      if (isObject(item) && 'server' in item) {
        const provider = checkPart(ServedProviderSchema, item, itemPath, findings, isInactive)
        if (!provider) return []
        findings.warnings.push(...providerHints(provider, itemPath))
        return servers.inheritMembers(provider, itemPath, findings)
      }
      const provider = checkPart(ProviderSchema, item, itemPath, findings, isInactive)
      if (!provider) return []
      findings.warnings.push(...providerHints(provider, itemPath))
      return [{ provider, path: itemPath }]
    })
  const checked = {
    providers: checkAll(providers, 'providers'),
    standby: checkAll(standby, 'providers_sleep'),
  }
  return shell ? { shell, ...checked } : undefined
}

/** Returns the coerced value, if valid. Errors and likely mistakes are added to the findings, each with its path. */
export function checkPart<Schema extends TSchema>(
  schema: Schema,
  value: unknown,
  path: string,
  findings: Findings,
  isInactive = false,
): Static<Schema> | undefined {
  findings.warnings.push(...misspelled(schema, value, path))
  const candidate = coerced(schema, value)
  if (Value.Check(schema, candidate)) return candidate
  const reported = new Set<string>()
  for (const error of Value.Errors(schema, candidate)) {
    if (reported.has(error.path)) continue
    reported.add(error.path)
    if (error.value !== undefined || !isInactive)
      findings.errors.push(`${pathBelow(path, error.path)}: ${schemaError(error)}`)
  }
  return undefined
}

/** Names of fields in the configurations of other programs, and the name of the same field here. */
const fieldNamesElsewhere: Readonly<Record<string, string>> = {
  api_base: 'api_host',
  api_key: 'api_token',
  base_url: 'api_host',
  context_length: 'input_size',
  host: 'api_host',
  max_concurrent: 'max_in_flight',
  max_parallel_requests: 'max_in_flight',
  model: 'model_path',
  model_name: 'model_path',
  token: 'api_token',
  url: 'api_host',
}

/**
 * Unknown fields are allowed; a warning is returned for those that resemble a known field, or have the name that other programs
 * use for it.
 */
function misspelled(schema: TSchema, value: unknown, path: string): string[] {
  if (!KindGuard.IsObject(schema) || !isObject(value)) return []
  const known = Object.keys(schema.properties)
  const missing = known.filter((name) => !(name in value))
  return Object.keys(value).flatMap((key) => {
    if (known.includes(key) || /^[$_]/.test(key)) return []
    const elsewhere = Object.hasOwn(fieldNamesElsewhere, key) ? fieldNamesElsewhere[key] : undefined
    const hint =
      elsewhere !== undefined && missing.includes(elsewhere)
        ? `; did you mean "${elsewhere}"?`
        : didYouMean(key, missing)
    return hint === '' ? [] : [`${pathOfMember(path, key)}: no such field, it has no effect${hint}`]
  })
}

/** Returns warnings about valid values that are probably mistakes, each with its path. Keys are not shown. */
export function providerHints(provider: Partial<Provider>, path: string): string[] {
  const unexpanded = Object.entries(provider).filter(
    ([name, value]) =>
      typeof value === 'string' && (looksUnexpanded(value) || (name === 'api_host' && namesVariable(value))),
  )
  return [
    ...unexpanded.map(([name]) => `${path}.${name}: ${unexpandedHint}`),
    ...weightHints(provider.weight, `${path}.weight`),
  ]
}

/** Whether an address contains a reference to a variable. Not for keys, which may contain a dollar sign. */
function namesVariable(host: string): boolean {
  return /\$\(?[A-Za-z_]/.test(host)
}

function weightHints(weight: number | undefined, path: string): string[] {
  if (weight === undefined || (weight >= 0 && weight <= 1)) return []
  if (weight < 0) return [`${path}: ${weight} is less than 0 and counts as 0; weights are from 0 to 1`]
  return [
    `${path}: ${weight} is more than 1 and counts as 1; weights are from 0 to 1, so divide all weights of the model by the largest`,
  ]
}
