import { didYouMean } from '../../lib/did-you-mean.ts'
import { numberOf } from '../../lib/json/loose.ts'
import { isObject } from '../../lib/json/read.ts'
import type { Connection } from '../../sdk/connection.ts'
import type { SystemTurns } from '../../sdk/dialect.ts'
import {
  type Call,
  type CallForm,
  callForms,
  type Operation,
  operations,
  type ProviderType,
} from '../../sdk/provider.ts'
import type { Registry } from '../../sdk/registry.ts'
import type { Strategy } from '../../sdk/strategy.ts'
import type { Target } from '../../sdk/target.ts'
import type { Syntax } from '../config-text.ts'
import { type Findings, memberPath, type ProviderAtPath } from '../models/check.ts'
import { profileFor } from '../models/profiles.ts'
import type { ModelShell, Provider } from '../models/schema.ts'
import { expanded, readToken } from '../secrets.ts'
import type { ServerEndpoint } from '../servers/fleet-snapshot.ts'
import { asProvider, type ServerAtPath } from '../servers/servers.ts'
import { type ConnectionSources, readConnection } from './target-connection.ts'
import type { TargetIds } from './target-ids.ts'
import { healthUrl, hostError, joinUrl } from './target-url.ts'

export interface TargetSources extends ConnectionSources {
  providers: Registry<ProviderType>
  /** Absent: the names of strategies are not looked at. */
  strategies?: Pick<Registry<Strategy>, 'find' | 'names'>
  /** How the file is written; absent: JSON. */
  syntax?: Syntax
}

export interface TargetPlan {
  alias: string
  shell: ModelShell
  ids: TargetIds
  sources: TargetSources
  findings: Findings
}

/** What is the same for all targets of a provider. */
interface ProviderAccess extends ServerAccess {
  url: URL | undefined
}

/**
 * Builds the target of a provider, or one for each of `endpoints`. What is wrong goes to the findings and is left out of the
 * target, which is then not to be used. Empty when not even its type is known.
 */
export function buildTargets(
  placed: ProviderAtPath,
  plan: TargetPlan,
  endpoints: readonly ServerEndpoint[] = [{}],
): Target[] {
  const { type, host, ...access } = readAccess(placed, plan.sources, plan.findings)
  if (!type) return []
  const url = host === undefined ? undefined : new URL(host)
  return endpoints.map((endpoint) => buildTarget(placed, plan, { ...access, type, host, url }, endpoint))
}

function buildTarget(
  placed: ProviderAtPath,
  { alias, shell, ids, findings }: TargetPlan,
  { type, host, url, token, connection }: ProviderAccess & { type: ProviderType },
  endpoint: ServerEndpoint,
): Target {
  const { provider, path, server } = placed
  const upstreamModel = provider.model_path?.trim() || alias
  const pathsFor = (form: CallForm): Target['paths'] =>
    pathsOf(type, host, provider.paths, { model: upstreamModel, form })
  const reached = connectionTo(endpoint, connection)
  return {
    id:
      endpoint.name === undefined
        ? ids.idFor(placed, alias, url?.host ?? type.name)
        : ids.endpointId(placed, alias, endpoint.name),
    model: alias,
    ...(endpoint.name === undefined || server === undefined ? {} : { server: server.id }),
    ...(server === undefined ? {} : { serverName: server.id }),
    type,
    upstreamModel,
    profile: profileFor({ type: type.name, upstreamModel, hostname: url?.hostname ?? '' }, provider.profile),
    origin: url?.origin ?? '',
    paths: wantedPaths(pathsFor('whole'), placed, type, findings.warnings),
    ...formPathsOf(pathsFor),
    token,
    ...(reached === undefined ? {} : { connection: reached }),
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
    ...limitsOf(type, shell, placed, findings.warnings),
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

/** How a server is reached. */
export interface ServerAccess {
  type: ProviderType | undefined
  host: string | undefined
  token: string | undefined
  connection: Connection | undefined
}

function readAccess(placed: ProviderAtPath, sources: TargetSources, findings: Findings): ServerAccess {
  const type = findType(placed, sources.providers, findings)
  const host = readHost(placed, type, sources, findings.errors)
  const token = readToken(placed, sources, findings.errors)
  const connection =
    host === undefined ? undefined : readConnection(placed, new URL(host).origin, sources, findings)
  return { type, host, token, connection }
}

/** Reads how a server is reached, and reports what is wrong with it, whether or not a provider refers to it. */
export function readServer(server: ServerAtPath, sources: TargetSources, findings: Findings): ServerAccess {
  return readAccess(asProvider(server), sources, findings)
}

function findType(
  placed: ProviderAtPath,
  known: Registry<ProviderType>,
  findings: Findings,
): ProviderType | undefined {
  const name = placed.provider.api_type.trim()
  const type = known.find(name) ?? known.find(usualTypeName(name))
  if (!type)
    findings.errors.push(
      `${memberPath(placed, 'api_type')}: ${JSON.stringify(name)} is unknown; known: ${known.names().join(', ')}${didYouMean(name.toLowerCase(), known.names())}`,
    )
  return type
}

/** `llama.cpp`, `LM Studio` and other ways in which people write the types. */
function usualTypeName(name: string): string {
  const plain = name.toLowerCase().replaceAll(/[-_. ]/g, '')
  return otherTypeNames[plain] ?? plain
}

const otherTypeNames: Readonly<Record<string, string>> = {
  llamaserver: 'llamacpp',
  openaicompatible: 'openai',
  openailike: 'openai',
  textgenerationinference: 'tgi',
  claude: 'anthropic',
  google: 'gemini',
}

function readHost(
  placed: ProviderAtPath,
  type: ProviderType | undefined,
  { env, allowLinkLocal }: TargetSources,
  errors: string[],
): string | undefined {
  const { provider } = placed
  const hostPath = memberPath(placed, 'api_host')
  const written = provider.api_host?.trim() ?? ''
  if (written === '') {
    if (type?.defaultHost !== undefined) return type.defaultHost
    if (type?.needsHost)
      errors.push(`${hostPath}: missing; ${provider.api_type} needs the address of its server`)
    return undefined
  }
  const errorsBefore = errors.length
  const host = expanded(written, hostPath, env, errors).trim()
  if (errors.length > errorsBefore) return undefined
  const error = hostError(host, allowLinkLocal)
  if (error !== undefined) errors.push(`${hostPath}: ${error}`)
  return error === undefined ? host : undefined
}

function pathsOf(
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

/** Only what differs from the paths of whole answers. */
function formPathsOf(pathsFor: (form: CallForm) => Target['paths']): Pick<Target, 'formPaths'> {
  const whole = pathsFor('whole')
  const forms = callForms.flatMap((form): [CallForm, Target['paths']][] => {
    const others = operations.map((operation) => [operation, pathsFor(form)[operation]] as const)
    const different = others.filter(([operation, path]) => path !== whole[operation])
    return different.length === 0 ? [] : [[form, Object.fromEntries(different)]]
  })
  return forms.length === 0 ? {} : { formPaths: Object.fromEntries(forms) }
}

/** Many servers that speak OpenAI's chats have no Responses API, or half of one: it is used where it is asked for. */
function wantedPaths(
  paths: Target['paths'],
  placed: ProviderAtPath,
  type: ProviderType,
  warnings: string[],
): Target['paths'] {
  const { provider } = placed
  const wanted = provider.responses ?? typeof provider.paths?.responses === 'string'
  if (wanted && type.dialect === 'openai' && paths.responses !== undefined) return paths
  if (wanted) warnings.push(`${memberPath(placed, 'responses')}: not used with ${type.name} servers`)
  const { responses: _unwanted, ...rest } = paths
  return rest
}

/** Servers of OpenAI's own models; their templates take system messages anywhere. Source: Azure OpenAI documentation, "Endpoints". */
const openaiHosts =
  /(?:^|\.)(?:openai\.com|openai\.azure\.com|cognitiveservices\.azure\.com|services\.ai\.azure\.com)$/
const anthropicHosts = /(?:^|\.)anthropic\.com$/

/** What the hostname alone reveals about a server. */
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

/** `num_ctx` as a number is an option like others, see {@link defaultsOf}. */
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
      `${path}.max_in_flight: "auto" has no effect unless the server says how many requests it processes at a time, and ${type.name} servers seldom do; set a number`,
    )
  return {
    ...(maxBatch === undefined ? {} : { maxBatch }),
    ...(auto ? { autoContext: true } : {}),
    ...(maxInFlight === undefined ? {} : { maxInFlight }),
    ...(provider.pass_priority ? { passesPriority: true } : {}),
  }
}

function listingsOf({ listings }: ProviderType, host: string | undefined): Pick<Target, 'listings'> {
  if (!listings || host === undefined) return {}
  return { listings: listings.map(({ path, read }) => ({ path: healthUrl(host, path), read })) }
}

/** `health_check`: false turns the check off, a path takes the place of the type's own. */
function healthOf(
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

function readInputSize(value: unknown, path: string, warnings: string[]): number {
  const size = numberOf(value ?? 0)
  if (typeof size === 'number' && size >= 0 && Number.isFinite(size)) return Math.floor(size)
  warnings.push(`${path}.input_size: not a number of 0 or more; treated as unknown`)
  return 0
}

type Level = Pick<ModelShell, 'defaults' | 'options' | 'keep_alive' | 'num_ctx'>

/** The provider's defaults over the model's; at each, what stands beside `defaults` over what stands in it. */
function mergedDefaults(model: Level, provider: Level): Record<string, unknown> {
  const { num_ctx: _context, ...rest } = model
  const [weaker, stronger] = [defaultsOf(provider.num_ctx === undefined ? model : rest), defaultsOf(provider)]
  const options = { ...weaker.options, ...stronger.options }
  const merged = { ...weaker.members, ...stronger.members }
  return Object.keys(options).length > 0 ? { ...merged, options } : merged
}

function defaultsOf(level: Level): { members: Record<string, unknown>; options: Record<string, unknown> } {
  const { options, ...members } = level.defaults ?? {}
  if (level.keep_alive !== undefined) members.keep_alive = level.keep_alive
  const context = typeof level.num_ctx === 'number' ? { num_ctx: level.num_ctx } : {}
  return { members, options: { ...(isObject(options) ? options : {}), ...context, ...level.options } }
}
