import { callForms, type Operation, operations, type ToolCallFormat } from '../../sdk/operation.ts'
import type { Call, ProviderType } from '../../sdk/provider.ts'
import type { Target } from '../../sdk/target.ts'
import { memberPath, type ProviderAtPath } from '../models/check.ts'
import type { Provider } from '../models/schema.ts'
import { healthUrl, joinUrl } from './target-url.ts'

export function pathsOf(
  type: ProviderType,
  host: string | undefined,
  overrides: Provider['paths'],
  call: Call,
): Target['paths'] {
  const pathOf = (operation: Operation): string | undefined => {
    const standard = type.path(operation, call)
    const configured = overrides?.[operation]
    if (configured === false) return undefined
    const override = configured?.trim() || undefined
    if (host === undefined || (standard === undefined && override === undefined)) return override ?? standard
    return joinUrl(host, standard ?? '/', override).path
  }
  const paths = operations.map((operation): [Operation, string | undefined] => [operation, pathOf(operation)])
  return Object.fromEntries(paths.filter(([, path]) => path !== undefined))
}

/** Returns the paths that differ from those of whole responses. */
export function formPathsOf(pathsFor: (form: ToolCallFormat) => Target['paths']): Pick<Target, 'formPaths'> {
  const whole = pathsFor('whole')
  const forms = callForms.flatMap((form): [ToolCallFormat, Target['paths']][] => {
    const paths = pathsFor(form)
    const others = operations.map((operation) => [operation, paths[operation]] as const)
    const different = others.filter(([operation, path]) => path !== whole[operation])
    return different.length === 0 ? [] : [[form, Object.fromEntries(different)]]
  })
  return forms.length === 0 ? {} : { formPaths: Object.fromEntries(forms) }
}

/**
 * Removes the path of the Responses API unless it is configured, because many OpenAI-compatible servers have none or only a
 * part.
 */
export function withoutUnconfirmedResponses(
  paths: Target['paths'],
  entry: ProviderAtPath,
  type: ProviderType,
  warnings: string[],
): Target['paths'] {
  const { provider } = entry
  const isConfigured = provider.responses ?? typeof provider.paths?.responses === 'string'
  if (isConfigured && type.dialect === 'openai' && paths.responses !== undefined) return paths
  if (isConfigured) warnings.push(`${memberPath(entry, 'responses')}: not used with ${type.name} servers`)
  const { responses: _unwanted, ...rest } = paths
  return rest
}

export function listingsOf({ listings }: ProviderType, host: string | undefined): Pick<Target, 'listings'> {
  if (!listings || host === undefined) return {}
  return { listings: listings.map(({ path, read }) => ({ path: healthUrl(host, path), read })) }
}

/** `health_check`: false disables the check, a path replaces the type's own. */
export function healthOf(
  type: ProviderType,
  host: string | undefined,
  setting: Provider['health_check'],
): Pick<Target, 'healthPath' | 'sleepPath'> {
  const path = typeof setting === 'string' ? setting : type.healthPath
  if (setting === false || host === undefined || path === undefined) return {}
  const sleep = type.sleepPath === undefined ? {} : { sleepPath: healthUrl(host, type.sleepPath) }
  if (typeof setting === 'string') return { healthPath: path.startsWith('/') ? path : `/${path}`, ...sleep }
  return { healthPath: healthUrl(host, path), ...sleep }
}
