import type { ChatRequest, ChatResponse } from '../../sdk/chat.ts'
import type { AnswerContext, ChatCodec } from '../../sdk/dialect.ts'
import type { RouterError } from '../../sdk/errors.ts'
import type { Model, Target } from '../../sdk/target.ts'
import type { Drop } from '../../sdk/write-options.ts'
import { ClientAnswerContext } from '../answer/answer-context.ts'
import type { ChatClient } from '../answer/client-stream.ts'
import { createLargeAnswer } from '../answer/large-answer.ts'
import type { AnswerFilter } from '../answer/translation.ts'
import {
  isStreamed,
  readAnswer,
  renameModel,
  renameModelInText,
  replayAsStream,
  type WholeAnswer,
} from '../answer/whole-answer.ts'
import type { AnswerStream, AttemptPlan, PreparedAttempt, ReadAnswer } from '../attempt/prepared-attempt.ts'
import type { Exchange } from '../exchange.ts'
import type { ClientRequest, EndpointDefaults } from '../request/client-request.ts'
import { supporting } from '../request/operation-targets.ts'
import {
  createChatPreparer,
  type PreparedChat,
  prepareTranslated,
  priorityMember,
  withDefaults,
} from '../request/prepare-chat.ts'
import { type RequestTraits, traitsOfBody, traitsOfChat } from '../request/request-traits.ts'
import { routingOfChat, routingOfClient } from '../request/routing-request.ts'
import type { RelayServices } from '../services.ts'
import { wholeWithFailover, withFailover } from './failover.ts'

/** Answers a client's chat request. Throws the client's error; after the first content it has also been sent in the stream. */
export async function answerChat(
  request: ClientRequest,
  client: ChatClient,
  services: RelayServices,
): Promise<void> {
  const { exchange } = services
  const { alias, only } = request
  const context = new ClientAnswerContext(request, exchange)
  const prepareFor = createChatPreparer(request, services)
  const prepare = (target: Target, maxTokens?: number): PreparedAttempt<Delivery> => {
    const prepared = prepareFor(target, maxTokens)
    const { operation, isPassthrough } = prepared
    return {
      body: prepared.body,
      operation,
      isPassthrough,
      collector: prepared.collector,
      stream: request.stream ? () => eventsTo(client, prepared.createFilter(context), exchange) : undefined,
      large: isPassthrough && !request.stream ? () => bytesTo(client, alias, exchange) : undefined,
      // A server without the client's API may still support chats.
      hasAlternative:
        (isPassthrough || operation === 'responses') &&
        only === undefined &&
        operation !== 'chat' &&
        target.paths.chat !== undefined,
      read(answer) {
        services.onWholeAnswer(target, answer.headers)
        return readFor({ request, client, context, exchange }, prepared, answer)
      },
    }
  }
  const { model } = request
  const deliver = await withFailover({ model, ...pickContextOf(request, services), prepare }, services)
  deliver?.()
}

/** What a chat request requires of a target. */
export function pickContextOf(
  request: ClientRequest,
  services: Parameters<typeof routingOfClient>[1],
): Pick<AttemptPlan<unknown>, 'traits' | 'request' | 'canServe'> {
  const { only } = request
  return {
    traits: traitsOf(request),
    request: routingOfClient(request, services),
    canServe: only && supporting(only),
  }
}

/** Sends a whole response to the client. */
type Delivery = () => void

function traitsOf({ source, dialect, outline }: ClientRequest): RequestTraits {
  if (source.from === 'router') return traitsOfChat(source.request)
  return traitsOfBody(dialect, outline, source.bytes)
}

/** After the first content, an error is an event in the client's dialect, and the body ends without an end marker. */
function eventsTo(chat: ChatClient, filter: AnswerFilter, exchange: Exchange): AnswerStream {
  const client = chat.stream()
  const fail = (thrown: RouterError): void => {
    const error = exchange.forClient(thrown)
    const torn = filter.closeEvent?.() ?? ''
    client.write(torn + (filter.writeError?.(error) ?? chat.writeError(error)))
    client.end()
  }
  return { filter, client, fail }
}

/** A JSON object has no room for an error, so the connection is reset: a partial response must not look complete. */
function bytesTo(chat: ChatClient, alias: string, exchange: Exchange): AnswerStream {
  const client = chat.large()
  const fail = (error: RouterError): void => {
    exchange.markTruncated(error)
    client.reset()
  }
  return { filter: createLargeAnswer(alias), client, fail }
}

/** Reads a whole response, and writes it in the client's dialect. */
function readFor(
  {
    request,
    client,
    context,
    exchange,
  }: { request: ClientRequest; client: ChatClient; context: AnswerContext; exchange: Exchange },
  { isPassthrough, upstream }: PreparedChat,
  answer: WholeAnswer,
): ReadAnswer<Delivery> {
  const dialect = request.dialect.chat
  if (isPassthrough && !request.stream && !isStreamed(answer))
    return passWhole(answer.body, { codec: upstream, alias: request.alias, context, client, exchange })
  const response = readAnswer(answer, upstream)
  const { usage, choices } = response
  exchange.unknownReason = choices.find(({ unknownReason }) => unknownReason !== undefined)?.unknownReason
  if (!request.stream) {
    const body = JSON.stringify(dialect.writeResponse(response, context))
    return { answer: () => client.whole(body), usage }
  }
  const text = replayAsStream(response, dialect, context)
  const deliver = (): void => {
    const stream = client.stream()
    stream.commit()
    stream.write(text)
    stream.end()
  }
  return { answer: deliver, usage }
}

/** A whole response for a client of the same dialect: unchanged, except for the model name. */
function passWhole(
  bytes: Buffer,
  to: { codec: ChatCodec; alias: string; context: AnswerContext; client: ChatClient; exchange: Exchange },
): ReadAnswer<Delivery> {
  const { codec, alias, context, client, exchange } = to
  const text = bytes.toString()
  const parsed: unknown = JSON.parse(text)
  const { usage, members, answerId } = codec.checkAnswer(parsed, context)
  exchange.answerId ??= answerId
  const small = members ? undefined : renameModelInText(bytes, alias, { text, parsed })
  const body = small ?? renameModel(bytes, alias, { members, parsed })
  return { answer: () => client.whole(body), usage }
}

export interface ChatQuestion {
  model: Model
  request: ChatRequest
  /** Default sampling, used where neither the request nor the configuration sets a value. */
  defaults?: EndpointDefaults
  /** Cancels this call only; its reason is a RouterError. Must also be aborted when the whole request ends. */
  signal?: AbortSignal
  /** Called with the fields that the answering target dropped; absent: reported to the exchange. */
  drop?: Drop
}

/** Calls a model on behalf of a text endpoint. Throws the client's error. */
export function askChat(question: ChatQuestion, given: RelayServices): Promise<ChatResponse> {
  const { model, request, signal, defaults } = question
  const services: RelayServices = signal ? { ...given, signal } : given
  const drop: Drop = question.drop ?? ((field, why) => given.exchange.drop(field, why))
  const prepare = (target: Target, maxTokens?: number): PreparedAttempt<ChatResponse> => {
    const dialect = withDefaults(services.dialectOf(target.type.dialect), request, target, defaults)
    const dropped = new Map<string, string>()
    const { body, collector, upstream } = prepareTranslated(request, dialect, target, {
      operation: 'chat',
      drop: (field, why) => dropped.set(field, why),
      collects: services.collectsWholeAnswers(target),
      maxTokens,
      declined: services.declined,
      set: priorityMember(target, services),
    })
    return {
      body,
      collector,
      operation: 'chat',
      read(answer) {
        const response = readAnswer(answer, upstream)
        for (const [field, why] of dropped) drop(field, why)
        return { answer: response, usage: response.usage }
      },
    }
  }
  const plan = { model, traits: traitsOfChat(request), request: routingOfChat(request, services), prepare }
  return wholeWithFailover(plan, services)
}
