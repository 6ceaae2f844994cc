import type { JsonScan } from '../../lib/json/splice.ts'
import type { ChatRequest } from '../../sdk/chat.ts'
import type { AnswerCollector, AnswerContext, ChatCodec, Dialect } from '../../sdk/dialect.ts'
import type { Operation } from '../../sdk/operation.ts'
import { flavourOf } from '../../sdk/profile.ts'
import type { Priority } from '../../sdk/strategy.ts'
import { allTargets, type Target } from '../../sdk/target.ts'
import type { Drop } from '../../sdk/write-options.ts'
import { type AnswerFilter, createTranslation } from '../answer/translation.ts'
import { fitRequest } from '../profile/fit-request.ts'
import { restoringProperties } from '../profile/property-names.ts'
import { restoringNames } from '../profile/tool-names.ts'
import type { RelayServices } from '../services.ts'
import { type ClientRequest, type EndpointDefaults, exactBody } from './client-request.ts'
import type { DeclinedOperations } from './operation-targets.ts'
import {
  type PreparedBody,
  passthroughBody,
  removedMembers,
  translatedBody,
  UnreadableRequest,
  writeOptions,
} from './prepare-body.ts'
import { type ThinkingLimit, withinThinkingLimits } from './thinking-limits.ts'
import {
  isEmbedded,
  lacksCustomTools,
  nativeOperation,
  upstreamSurface,
  upstreamValidates,
  withTools,
} from './upstream-surface.ts'

/** A chat request for one target, and how its response reaches the client. */
export interface PreparedChat {
  readonly body: PreparedBody
  readonly operation: Operation
  /** Whether client and target speak the same dialect. */
  readonly isPassthrough: boolean
  /** Codec of the target's dialect. */
  readonly upstream: ChatCodec
  /** Set if a whole response is requested as a stream. */
  readonly collector: (() => AnswerCollector) | undefined
  /** For a streamed response. */
  createFilter(context: AnswerContext): AnswerFilter
}

const toolMembers = ['tools', 'tool_choice', 'parallel_tool_calls', 'functions', 'function_call']

/**
 * Prepares one client request for successive targets. It is read into the canonical form once, and only if a target
 * speaks another dialect.
 */
export function createChatPreparer(
  client: ClientRequest,
  services: RelayServices,
): (target: Target, maxTokens?: number) => PreparedChat {
  const { source } = client
  const drop: Drop = (field, why) => services.exchange.drop(field, why)
  const note = (message: string): void => services.logOnce?.(message)
  let read: ChatRequest | undefined
  const readOnce = (): ChatRequest => {
    if (source.from === 'router') return source.request
    const { chat } = client.dialect
    try {
      if (!read) {
        chat.checkRequest?.(client.outline)
        read = { ...chat.readRequest(exactBody(client), client.stream), model: client.alias }
      }
      return read
    } catch (error) {
      // A server of the client's own dialect may accept what the router cannot read.
      if (allTargets(client.model).some((each) => upstreamValidates(client.dialect, each))) throw error
      throw new UnreadableRequest(error)
    }
  }
  return (target, maxTokens) => {
    const collects = !client.stream && services.collectsWholeAnswers(target)
    if (source.from === 'client') {
      const operation = lacksCustomTools(client, target) ? undefined : nativeOperation(client.dialect, target)
      // An embedded type has no server that would validate the body.
      if (operation && isEmbedded(target)) checkRequest(client)
      if (operation && !services.declined.has(target, operation))
        return preparePassthrough(client, source, target, {
          operation,
          collects,
          note,
          maxTokens,
          drop,
          set: priorityMember(target, services),
        })
    }
    const dialectOf = (name: string): Dialect => {
      const dialect = services.dialectOf(name)
      return source.from === 'router'
        ? withDefaults(dialect, source.request, target, source.defaults)
        : dialect
    }
    const request = readOnce()
    request.notices?.forEach(note)
    const { declined } = services
    const surfaces = { dialectOf, declined }
    const { dialect, operation } = upstreamSurface(request, target, surfaces)
    const plan = { operation, drop, collects, maxTokens, declined, set: priorityMember(target, services) }
    const translated = prepareTranslated(request, dialect, target, plan)
    return {
      ...translated,
      operation,
      isPassthrough: false,
      createFilter: (context) =>
        createTranslation(translated.upstream.createReader(), client.dialect.chat.createWriter(context)),
    }
  }
}

/** vLLM's own scheduler serves lower numbers first. Source: vLLM documentation, extra parameters of chats, `priority`. */
const enginePriorities: Readonly<Record<Priority, number>> = { high: -1, normal: 0, low: 1 }

/** The priority of the request in the target's own member, if configured. */
export function priorityMember(
  { passesPriority }: Target,
  { priority = 'normal' }: Pick<RelayServices, 'priority'>,
): Record<string, number> {
  return passesPriority ? { priority: enginePriorities[priority] } : {}
}

function checkRequest({ dialect, outline }: ClientRequest): void {
  try {
    dialect.chat.checkRequest?.(outline)
  } catch (error) {
    throw new UnreadableRequest(error)
  }
}

interface PassthroughPlan {
  operation: Operation
  collects: boolean
  note(message: string): void
  /** Token limit that replaces the client's. */
  maxTokens: number | undefined
  drop: Drop
  /** Overrides the client's members. */
  set: Record<string, unknown>
}

interface TranslationPlan extends Pick<PassthroughPlan, 'operation' | 'collects' | 'drop' | 'set'> {
  maxTokens?: number | undefined
  declined: DeclinedOperations
}

/** Token limits, in every dialect. */
const limitMembers = ['max_tokens', 'max_completion_tokens', 'max_output_tokens']

function limitedTo(maxTokens: number, body: Record<string, unknown>): Record<string, number> {
  const sent = limitMembers.filter((name) => typeof body[name] === 'number')
  return Object.fromEntries(sent.map((name) => [name, maxTokens]))
}

/** Passthrough: the received bytes with the minimal changes that the target needs. */
function preparePassthrough(
  client: ClientRequest,
  source: { bytes: Buffer; scan: JsonScan },
  target: Target,
  { operation, collects, note, maxTokens, drop, set: members }: PassthroughPlan,
): PreparedChat {
  const { outline } = client
  const { chat } = client.dialect
  const asStream = collects && chat.wholeAsStream?.fits({ ...target.defaults, ...outline }) === true
  const { edits, stripUsage, notices } = chat.passthroughEdits({
    ...source,
    body: outline,
    stream: client.stream || asStream,
    wantUsage: asStream || target.streamUsage,
    isVendor: target.isAnthropic === true,
  })
  notices?.forEach(note)
  const removed = target.toolCalling ? [] : [...toolMembers, ...(chat.toolMembers ?? [])]
  if ('model_name' in outline) removed.push('model_name')
  const defaults = defaultMembers(client, target)
  const limits = maxTokens === undefined ? {} : limitedTo(maxTokens, { ...outline, ...defaults })
  const set = { ...limits, ...members }
  return {
    body: passthroughBody(source, target, { defaults, set, removed, edits, drop }),
    operation,
    isPassthrough: true,
    upstream: chat,
    collector: collects ? chat.wholeAsStream?.createCollector : undefined,
    createFilter: () =>
      chat.createPassthrough({
        model: client.alias,
        stripUsage: stripUsage && !removedMembers(target, removed).has('stream_options'),
        choices: typeof outline.n === 'number' ? outline.n : 1,
        request: outline,
      }),
  }
}

/** Members that defaults never set. */
const requestMembers = ['model', 'messages', 'stream', 'stream_options']

/** The operator's defaults for members that the client did not set, and members that fit the prompt to the target. */
function defaultMembers(client: ClientRequest, target: Target): Record<string, unknown> {
  const { chat } = client.dialect
  // Members that are written back must be complete.
  const body = hasNone(target.defaults) ? client.outline : client.readBody()
  const defaults = chat.missingDefaults(body, target.defaults, flavourOf(target))
  if (!hasNone(defaults)) for (const member of requestMembers) delete defaults[member]
  if (chat.fitContext) Object.assign(defaults, chat.fitContext({ ...client.readBody(), ...defaults }, target))
  return defaults
}

function hasNone(members: Readonly<Record<string, unknown>>): boolean {
  for (const _name in members) return false
  return true
}

/** A request for a target of another dialect, or one made by the router itself. */
export function prepareTranslated(
  request: ChatRequest,
  dialect: Dialect,
  target: Target,
  { operation, drop, collects, maxTokens, declined, set }: TranslationPlan,
): Pick<PreparedChat, 'upstream' | 'collector' | 'body'> {
  for (const [field, why] of Object.entries(request.dropped ?? {})) drop(field, why)
  const isLimited = (limit: ThinkingLimit): boolean => declined.has(target, limit)
  const limited = withinThinkingLimits(withTools(request, target), isLimited, drop)
  const fitted = fitRequest(limited, target.profile, {
    operation,
    drop,
  })
  const upstream = restoringProperties(restoringNames(dialect.chat, fitted.names), fitted.properties)
  const wholeAsStream = collects && !request.stream ? upstream.wholeAsStream : undefined
  const written = upstream.writeRequest(fitted.request, writeOptions(target, drop))
  const fit = (body: Record<string, unknown>): void => {
    if (!target.streamUsage) delete body.stream_options
    if (maxTokens !== undefined) Object.assign(body, limitedTo(maxTokens, body))
    Object.assign(body, upstream.fitContext?.(body, target))
    if (wholeAsStream?.fits(body))
      Object.assign(body, { stream: true, stream_options: { include_usage: true } })
  }
  const body = translatedBody(written, target, upstream, { fit, set, drop })
  return { body, upstream, collector: wholeAsStream?.createCollector }
}

/**
 * The target's dialect with an endpoint's defaults after the operator's. They are written as the target's own members;
 * unsupported ones are not reported as dropped, because the client did not send them.
 */
export function withDefaults(
  dialect: Dialect,
  request: ChatRequest,
  target: Target,
  defaults: EndpointDefaults | undefined,
): Dialect {
  if (!defaults) return dialect
  const { chat } = dialect
  const flavour = flavourOf(target)
  const drop = (): void => undefined
  return {
    ...dialect,
    chat: {
      ...chat,
      missingDefaults(body, configured) {
        const members = chat.missingDefaults(body, configured, flavour)
        const endpointRequest = { ...request, sampling: defaults(target) }
        const fitted = fitRequest(endpointRequest, target.profile, { operation: 'chat', drop })
        const endpointMembers = chat.writeRequest(fitted.request, writeOptions(target, drop))
        return { ...members, ...chat.missingDefaults({ ...body, ...members }, endpointMembers) }
      },
    },
  }
}
