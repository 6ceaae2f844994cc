import { isRecord, numberOf } from './loose-json.ts'
import type { Findings, PlacedProvider } from './models-check.ts'
import type { ModelShell, Provider } from './models-config.ts'
import type { Operation, ProviderType } from './provider.ts'
import type { Registry } from './registry.ts'
import type { Target } from './target.ts'
import type { TargetIds } from './target-ids.ts'
import { expanded, readToken, type SecretSources } from './target-secrets.ts'
import { hostFault, joinUrl } from './target-url.ts'

export interface TargetSources extends SecretSources {
  providers: Registry<ProviderType>
}

export interface TargetPlan {
  alias: string
  shell: ModelShell
  ids: TargetIds
  sources: TargetSources
  findings: Findings
}

/**
 * Builds a target. What is wrong goes to the findings and is left out of the target, which is then not to be used.
 * Undefined when not even its type is known.
 */
export function buildTarget(placed: PlacedProvider, plan: TargetPlan): Target | undefined {
  const { provider, place } = placed
  const { alias, shell, ids, sources, findings } = plan
  const type = findType(placed, sources.providers, findings)
  const host = readHost(placed, type?.needsHost ?? false, sources, findings.faults)
  const token = readToken(placed, sources, findings.faults)
  if (!type) return undefined
  const url = host === undefined ? undefined : new URL(host)
  return {
    id: ids.idFor(placed, alias, url?.host ?? type.name),
    model: alias,
    type,
    upstreamModel: provider.model_path?.trim() || alias,
    origin: url?.origin ?? '',
    paths: pathsOf(type, host, provider.paths),
    token,
    weight: Math.min(Math.max(provider.weight ?? 1, 0), 1),
    inputSize: readInputSize(provider.input_size, place, findings.warnings),
    toolCalling: provider.tool_calling ?? true,
    dropParams: provider.drop_params ?? [],
    defaults: mergedDefaults(shell, provider),
    streamUsage: provider.stream_usage ?? true,
    mock: provider.mock ?? {},
  }
}

function findType(
  { provider, place }: PlacedProvider,
  known: Registry<ProviderType>,
  findings: Findings,
): ProviderType | undefined {
  const name = provider.api_type.trim()
  const type = known.find(name) ?? known.find(name.toLowerCase())
  if (!type)
    findings.faults.push(
      `${place}.api_type: ${JSON.stringify(name)} is unknown; known: ${known.names().join(', ')}`,
    )
  return type
}

function readHost(
  { provider, place }: PlacedProvider,
  needed: boolean,
  { env }: SecretSources,
  faults: string[],
): string | undefined {
  const hostPlace = `${place}.api_host`
  const written = provider.api_host?.trim() ?? ''
  if (written === '') {
    if (needed) faults.push(`${hostPlace}: missing; ${provider.api_type} needs the address of its server`)
    return undefined
  }
  const faultsBefore = faults.length
  const host = expanded(written, hostPlace, env, faults).trim()
  if (faults.length > faultsBefore) return undefined
  const fault = hostFault(host)
  if (fault !== undefined) faults.push(`${hostPlace}: ${fault}`)
  return fault === undefined ? host : undefined
}

function pathsOf(
  type: ProviderType,
  host: string | undefined,
  overrides: Provider['paths'],
): Target['paths'] {
  const pathOf = (operation: Operation): string | undefined => {
    const standard = type.path(operation)
    const override = overrides?.[operation]?.trim() || undefined
    if (host === undefined || (standard === undefined && override === undefined)) return override ?? standard
    return joinUrl(host, standard ?? '/', override).path
  }
  const paths: Record<Operation, string | undefined> = { chat: pathOf('chat') }
  return Object.fromEntries(Object.entries(paths).filter((entry) => entry[1] !== undefined))
}

function readInputSize(value: unknown, place: string, warnings: string[]): number {
  const size = numberOf(value ?? 0)
  if (typeof size === 'number' && size >= 0 && Number.isFinite(size)) return Math.floor(size)
  warnings.push(`${place}.input_size: not a number of 0 or more; taken as unknown`)
  return 0
}

type Level = Pick<ModelShell, 'defaults' | 'options' | 'keep_alive'>

/** The provider's defaults over the model's; at each, what stands beside `defaults` over what stands in it. */
function mergedDefaults(model: Level, provider: Level): Record<string, unknown> {
  const [weaker, stronger] = [defaultsOf(model), defaultsOf(provider)]
  const options = { ...weaker.options, ...stronger.options }
  const merged = { ...weaker.members, ...stronger.members }
  return Object.keys(options).length > 0 ? { ...merged, options } : merged
}

function defaultsOf(level: Level): { members: Record<string, unknown>; options: Record<string, unknown> } {
  const { options, ...members } = level.defaults ?? {}
  if (level.keep_alive !== undefined) members.keep_alive = level.keep_alive
  return { members, options: { ...(isRecord(options) ? options : {}), ...level.options } }
}
