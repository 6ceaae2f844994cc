import { numberOf } from '../../lib/json/loose.ts'
import { isObject } from '../../lib/json/read.ts'
import { targetErrors } from '../../sdk/checks/provider.ts'
import type { ToolCallFormat } from '../../sdk/operation.ts'
import type { SystemTurns } from '../../sdk/profile.ts'
import type { ProviderType } from '../../sdk/provider.ts'
import type { Target } from '../../sdk/target.ts'
import type { Connection } from '../../sdk/transport.ts'
import { type Findings, memberPath, type ProviderAtPath } from '../models/check.ts'
import { profileFor } from '../models/profiles/index.ts'
import type { ModelShell } from '../models/schema.ts'
import type { ServerEndpoint } from '../servers/published.ts'
import { readAccess, type ServerAccess, type TargetSources } from './target-access.ts'
import type { TargetIds } from './target-ids.ts'
import { formPathsOf, healthOf, listingsOf, pathsOf, withoutUnconfirmedResponses } from './target-paths.ts'
import { healthUrl } from './target-url.ts'

interface TargetPlan {
  alias: string
  shell: ModelShell
  ids: TargetIds
  sources: TargetSources
  findings: Findings
}

/** Shared by all targets of a provider. */
interface ProviderAccess extends ServerAccess {
  url: URL | undefined
}

/**
 * Builds one target of a provider per entry of `endpoints`. Errors are added to the findings; the targets must then not be
 * used. Returns [] if the type is unknown.
 */
export function buildTargets(
  entry: ProviderAtPath,
  plan: TargetPlan,
  endpoints: readonly ServerEndpoint[] = [{}],
): Target[] {
  const { type, host, ...access } = readAccess(entry, plan.sources, plan.findings)
  if (!type) return []
  const model = upstreamModelOf(entry, plan.alias)
  const errors = targetErrors(type, { model, token: access.token })
  for (const error of errors)
    plan.findings.errors.push(`${memberPath(entry, 'api_type')}: provider type "${type.name}": ${error}`)
  if (errors.length > 0) return []
  const url = host === undefined ? undefined : new URL(host)
  return endpoints.map((endpoint) => buildTarget(entry, plan, { ...access, type, host, url }, endpoint))
}

function upstreamModelOf({ provider }: ProviderAtPath, alias: string): string {
  return provider.model_path?.trim() || alias
}

function buildTarget(
  entry: ProviderAtPath,
  { alias, shell, ids, findings }: TargetPlan,
  { type, host, url, token, connection }: ProviderAccess & { type: ProviderType },
  endpoint: ServerEndpoint,
): Target {
  const { provider, path, server } = entry
  const upstreamModel = upstreamModelOf(entry, alias)
  const pathsFor = (form: ToolCallFormat): Target['paths'] =>
    pathsOf(type, host, provider.paths, { model: upstreamModel, form })
  const endpointConnection = connectionTo(endpoint, connection)
  return {
    id:
      endpoint.name === undefined
        ? ids.idFor(entry, alias, url?.host ?? type.name)
        : ids.endpointId(entry, alias, endpoint.name),
    model: alias,
    ...(endpoint.name === undefined || server === undefined ? {} : { server: server.id }),
    ...(server === undefined ? {} : { serverName: server.id }),
    type,
    upstreamModel,
    profile: profileFor({ type: type.name, upstreamModel, hostname: url?.hostname ?? '' }, provider.profile),
    origin: url?.origin ?? '',
    paths: withoutUnconfirmedResponses(pathsFor('whole'), entry, type, findings.warnings),
    ...formPathsOf(pathsFor),
    token,
    ...(endpointConnection === undefined ? {} : { connection: endpointConnection }),
    weight: Math.min(Math.max(provider.weight ?? 1, 0), 1),
    inputSize: readInputSize(provider.input_size, path, findings.warnings),
    toolCalling: provider.tool_calling ?? true,
    dropParams: provider.drop_params ?? [],
    defaults: mergedDefaults(shell, provider),
    streamUsage: provider.stream_usage ?? true,
    ...(provider.fit_max_tokens ? { fitMaxTokens: true } : {}),
    ...(provider.wake ? { wake: true } : {}),
    ...(provider.canary ? { canary: true } : {}),
    ...(provider.gpus === undefined ? {} : { gpus: provider.gpus }),
    ...vendorOf(url, provider.system_turns),
    mock: provider.mock ?? {},
    ...limitsOf(type, shell, entry, findings.warnings),
    ...listingsOf(type, host),
    ...(host === undefined ? {} : { rootPath: healthUrl(host, '') }),
    ...healthOf(type, host, provider.health_check),
  }
}

function connectionTo(
  { address, port }: ServerEndpoint,
  connection: Connection | undefined,
): Connection | undefined {
  if (address === undefined) return connection
  return { ...connection, address, ...(port === undefined ? {} : { port }) }
}

/** Servers of OpenAI's own models, which accept system messages anywhere. Source: Azure OpenAI documentation, "Endpoints". */
const openaiHosts =
  /(?:^|\.)(?:openai\.com|openai\.azure\.com|cognitiveservices\.azure\.com|services\.ai\.azure\.com)$/
const anthropicHosts = /(?:^|\.)anthropic\.com$/

/** Settings that depend on the vendor, which the hostname reveals. */
function vendorOf(
  url: URL | undefined,
  configured: SystemTurns | undefined,
): Pick<Target, 'systemTurns' | 'isAnthropic'> {
  const host = url?.hostname ?? ''
  const turns = configured ?? (openaiHosts.test(host) ? 'keep' : undefined)
  return {
    ...(turns === undefined ? {} : { systemTurns: turns }),
    ...(anthropicHosts.test(host) ? { isAnthropic: true } : {}),
  }
}

/** Reads limits. A number as `num_ctx` is a default like others, see {@link defaultsOf}. */
function limitsOf(
  type: ProviderType,
  shell: ModelShell,
  { provider, path }: ProviderAtPath,
  warnings: string[],
): Pick<Target, 'maxBatch' | 'autoContext' | 'maxInFlight' | 'passesPriority'> {
  const maxBatch = provider.max_batch ?? type.maxBatch
  const auto = (provider.num_ctx ?? shell.num_ctx) === 'auto'
  const { max_in_flight: maxInFlight } = provider
  if (maxInFlight === 'auto' && type.autoLimit === undefined)
    warnings.push(
      `${path}.max_in_flight: "auto" has no effect unless the server reports how many requests it processes at a time, which ${type.name} servers rarely do; set a number`,
    )
  return {
    ...(maxBatch === undefined ? {} : { maxBatch }),
    ...(auto ? { autoContext: true } : {}),
    ...(maxInFlight === undefined ? {} : { maxInFlight }),
    ...(provider.pass_priority ? { passesPriority: true } : {}),
  }
}

function readInputSize(value: unknown, path: string, warnings: string[]): number {
  const size = numberOf(value ?? 0)
  if (typeof size === 'number' && size >= 0 && Number.isFinite(size)) return Math.floor(size)
  warnings.push(`${path}.input_size: not a number of 0 or more; treated as unknown`)
  return 0
}

type Level = Pick<ModelShell, 'defaults' | 'options' | 'keep_alive' | 'num_ctx'>

/** The provider's defaults override the model's; at each level, separate members override those in `defaults`. */
function mergedDefaults(model: Level, provider: Level): Record<string, unknown> {
  const { num_ctx: _context, ...rest } = model
  const modelDefaults = defaultsOf(provider.num_ctx === undefined ? model : rest)
  const providerDefaults = defaultsOf(provider)
  const options = { ...modelDefaults.options, ...providerDefaults.options }
  const merged = { ...modelDefaults.members, ...providerDefaults.members }
  return Object.keys(options).length > 0 ? { ...merged, options } : merged
}

function defaultsOf(level: Level): { members: Record<string, unknown>; options: Record<string, unknown> } {
  const { options, ...members } = level.defaults ?? {}
  if (level.keep_alive !== undefined) members.keep_alive = level.keep_alive
  const context = typeof level.num_ctx === 'number' ? { num_ctx: level.num_ctx } : {}
  return { members, options: { ...(isObject(options) ? options : {}), ...context, ...level.options } }
}
