import type { ChatRequest, ChatResponse, Usage } from '../../sdk/chat.ts'
import type { AnswerContext, ChatCodec, Dialect, Drop } from '../../sdk/dialect.ts'
import { RouterError } from '../../sdk/errors.ts'
import type { Operation } from '../../sdk/provider.ts'
import type { RequestTraits } from '../../sdk/request-traits.ts'
import type { Model, Target } from '../../sdk/target.ts'
import type { CallTrace } from '../../sdk/trace.ts'
import type { Transport, UpstreamHeaders } from '../../sdk/transport.ts'
import { CallAnswerContext } from '../answer/answer-context.ts'
import type { ClientStream } from '../answer/client-stream.ts'
import { createLargeAnswer } from '../answer/large-answer.ts'
import type { StreamLane } from '../answer/stream-lane.ts'
import {
  isStreamed,
  readAnswer,
  renamedText,
  renameModel,
  replayAsStream,
  type WholeAnswer,
} from '../answer/whole-answer.ts'
import type { AnswerStream } from '../attempt/attempt.ts'
import type { AttemptWatch } from '../attempt/attempt-watch.ts'
import { unreadableAnswer } from '../attempt/unreadable-answer.ts'
import { garbageFailure, next } from '../attempt/upstream-failure.ts'
import type { Exchange } from '../exchange.ts'
import type { ChatCall } from '../request/chat-request.ts'
import type { DeclinedOperations } from '../request/declined-operations.ts'
import { behindConfigured, type EndpointDefaults } from '../request/endpoint-defaults.ts'
import { having, isNotOffered } from '../request/operation-targets.ts'
import {
  createChatPreparer,
  type PreparedChat,
  prepareTranslated,
  type TargetTraits,
  UnreadableRequest,
} from '../request/prepare-chat.ts'
import { traitsOfBody, traitsOfChat } from '../request/request-traits.ts'
import { askTarget, type TargetCall } from './ask-target.ts'
import { type Delivered, type LoopServices, overTargets } from './over-targets.ts'

/** What a run needs of the house around it. */
export interface ChatServices extends LoopServices {
  dialectOf(name: string): Dialect
  declined: DeclinedOperations
  transportOf(target: Target): Transport
  /** Whether whole answers of a target are asked for as streams; see `collectsWholeAnswers` of its provider type. */
  collects(target: Target): boolean
  /** A whole answer of a target has come with these headers. */
  heard(target: Target, headers: UpstreamHeaders): void
  /** Bounds the wait for the first content and each silence after it, in milliseconds. */
  timeoutMs: number
  userAgent: string
  watch: AttemptWatch
  /** Who asks: the id of a key, or an address. */
  clientName(): string
  clientHeaders: Record<string, string | string[] | undefined>
}

/** Where an answer goes. */
export interface ChatClient {
  stream(): ClientStream
  whole(body: Buffer | string): void
  /** For a whole answer that is too large for `whole`: its bytes as they come. */
  large(): ClientStream
  /** The in-band error of the client's dialect. */
  writeError(error: RouterError): string
}

/** Answers a client's chat request. Throws the error to tell, unless the client was told in its stream. */
export function answerChat(call: ChatCall, client: ChatClient, services: ChatServices): Promise<void> {
  const { exchange } = services
  const context = new CallAnswerContext(call, exchange)
  const prepare = preparerOf(call, services)
  return overTargets({
    services,
    model: call.model,
    traits: traitsOf(call),
    ...(call.only && { can: having(call.only) }),
    attempt: (target, revoked, trace, onContent) =>
      attemptAnswer({ call, client, services, context, prepare, revoked, trace, onContent }, target),
  })
}

function traitsOf({ source, dialect, outline }: ChatCall): RequestTraits {
  if (source.from === 'router') return traitsOfChat(source.request)
  return traitsOfBody(dialect.native?.operation ?? 'chat', outline, source.bytes)
}

function preparerOf(call: ChatCall, services: ChatServices): (target: Target) => PreparedChat {
  const { source } = call
  const drop: Drop = (field, why) => services.exchange.drop(field, why)
  const traits: TargetTraits = {
    isDeclined: (target, operation) => services.declined.has(target, operation),
    collects: services.collects,
  }
  if (source.from === 'client') return createChatPreparer(call, services.dialectOf, drop, traits)
  return (target) => {
    const dialectOf = (name: string): Dialect =>
      behindConfigured(services.dialectOf(name), source.request, target, source.defaults)
    return createChatPreparer(call, dialectOf, drop, traits)(target)
  }
}

interface AnswerRun {
  call: ChatCall
  client: ChatClient
  services: ChatServices
  context: AnswerContext
  prepare(target: Target): PreparedChat
  revoked: AbortSignal | undefined
  trace: CallTrace | undefined
  onContent: (() => void) | undefined
}

async function attemptAnswer(run: AnswerRun, target: Target): Promise<Delivered<void>> {
  const { call, client, services, context, revoked, trace, onContent } = run
  const { exchange } = services
  const prepared = tryPrepare(() => run.prepare(target))
  if (prepared instanceof RouterError) return { type: 'failed', ...next(prepared, 'nothing') }
  const result = await askTarget(
    services,
    target,
    { ...asked(prepared, revoked, trace), onContent },
    {
      stream: call.stream ? () => eventsTo(client, prepared.createLane(context)) : undefined,
      collector: prepared.collector,
      large: prepared.identity && !call.stream ? () => bytesTo(client, call.alias, exchange) : undefined,
    },
  )
  if (result.type === 'failed') {
    if (!mayTranslate(call, target, prepared, result.error)) return result
    services.declined.add(target, prepared.operation)
    return attemptAnswer(run, target)
  }
  if (result.type === 'streamed') {
    const { firstContentMs, tokens } = result
    return { type: 'delivered', value: undefined, streamed: true, firstContentMs, tokens }
  }
  services.heard(target, result.headers)
  return deliverWhole(run, target, prepared, result)
}

/** A server without the client's own surface may still have chats. */
function mayTranslate({ only }: ChatCall, target: Target, sent: PreparedChat, error: RouterError): boolean {
  if (!sent.identity || only !== undefined || target.paths.chat === undefined) return false
  return sent.operation !== 'chat' && isNotOffered(error)
}

/** After its first content a client is told in-band, in its dialect, and the body ends without an end marker. */
function eventsTo(chat: ChatClient, lane: StreamLane): AnswerStream {
  const client = chat.stream()
  const breakOff = (error: RouterError): void => {
    const torn = lane.endTorn?.() ?? ''
    client.write(torn + (lane.writeError?.(error) ?? chat.writeError(error)))
    client.end()
  }
  return { lane, client, breakOff }
}

/** In the middle of one JSON object nothing can be told: the connection is cut, so that a part is not taken for all. */
function bytesTo(chat: ChatClient, alias: string, exchange: Exchange): AnswerStream {
  const client = chat.large()
  const breakOff = (error: RouterError): void => {
    exchange.breakOff(error)
    client.breakOff()
  }
  return { lane: createLargeAnswer(alias), client, breakOff }
}

function deliverWhole(
  { call, client, services, context, trace }: AnswerRun,
  target: Target,
  prepared: PreparedChat,
  answer: WholeAnswer & { firstContentMs: number },
): Delivered<void> {
  const dialect = call.dialect.chat
  const { firstContentMs } = answer
  const delivered = (usage: Usage | undefined): Delivered<void> => {
    services.exchange.addUsage(usage)
    trace?.used(usage)
    return { type: 'delivered', value: undefined, firstContentMs, tokens: usage?.completionTokens }
  }
  try {
    if (prepared.identity && !call.stream && !isStreamed(answer)) {
      const { body, usage } = passWhole(answer.body, prepared.upstream, call.alias, context)
      const result = delivered(usage)
      client.whole(body)
      return result
    }
    const response = readAnswer(answer, prepared.upstream)
    const result = delivered(response.usage)
    if (call.stream) {
      const text = replayAsStream(response, dialect, context)
      const stream = client.stream()
      stream.commit()
      stream.write(text)
      stream.end()
    } else {
      client.whole(JSON.stringify(dialect.writeResponse(response, context)))
    }
    return result
  } catch (error) {
    return unreadableAnswer(error, target, prepared)
  }
}

/** A whole answer for a client of the same dialect: as it came, but for the name of the model. */
function passWhole(
  bytes: Buffer,
  codec: ChatCodec,
  alias: string,
  context: AnswerContext,
): { body: Buffer | string; usage: Usage | undefined } {
  const text = bytes.toString()
  const parsed: unknown = JSON.parse(text)
  const { usage, members } = codec.checkAnswer(parsed, context)
  const small = members ? undefined : renamedText(bytes, alias, { text, parsed })
  return { body: small ?? renameModel(bytes, alias, { members, parsed }), usage }
}

export interface ChatQuestion {
  model: Model
  request: ChatRequest
  /** Sampling for what neither the request nor the configuration says. */
  defaults?: EndpointDefaults
  /** Ends this question alone; its reason is a RouterError. The end of the whole request must be part of it. */
  signal?: AbortSignal
  /** Told what the target that answered could not carry; absent: the exchange is. */
  drop?: Drop
}

/** Asks a model on behalf of an endpoint of the router's own. Throws the error to tell. */
export function askChat(question: ChatQuestion, given: ChatServices): Promise<ChatResponse> {
  const { model, request, signal, defaults } = question
  const { exchange } = given
  const drop: Drop = question.drop ?? ((field, why) => exchange.drop(field, why))
  const services: ChatServices = signal ? { ...given, signal } : given
  return overTargets({
    services,
    model,
    traits: traitsOfChat(request),
    async attempt(target, leaseRevoked, trace): Promise<Delivered<ChatResponse>> {
      const dialect = behindConfigured(services.dialectOf(target.type.dialect), request, target, defaults)
      const revoked = new Map<string, string>()
      const prepared = tryPrepare(() =>
        prepareTranslated(request, dialect, target, {
          drop: (field, why) => revoked.set(field, why),
          collects: services.collects(target),
        }),
      )
      if (prepared instanceof RouterError) return { type: 'failed', ...next(prepared, 'nothing') }
      const result = await askTarget(services, target, asked(prepared, leaseRevoked, trace), {
        collector: prepared.collector,
      })
      if (result.type === 'failed') return result
      if (result.type === 'streamed') return { type: 'failed', ...garbageFailure() }
      try {
        const response = readAnswer(result, dialect.chat)
        exchange.addUsage(response.usage)
        trace?.used(response.usage)
        for (const [field, why] of revoked) drop(field, why)
        const { firstContentMs } = result
        return {
          type: 'delivered',
          value: response,
          firstContentMs,
          tokens: response.usage?.completionTokens,
        }
      } catch (error) {
        return unreadableAnswer(error, target, prepared)
      }
    },
  })
}

function asked(
  {
    body,
    operation = 'chat',
    identity = false,
  }: Pick<TargetCall, 'body'> & { operation?: Operation; identity?: boolean },
  revoked: AbortSignal | undefined,
  trace: CallTrace | undefined,
): TargetCall {
  return { operation, body, identity, revoked, trace }
}

/** What this target cannot carry at all (an image address for Ollama, say) another one may. */
function tryPrepare<T>(prepare: () => T): T | RouterError {
  try {
    return prepare()
  } catch (error) {
    if (error instanceof RouterError) return error
    throw error instanceof UnreadableRequest ? error.cause : error
  }
}
