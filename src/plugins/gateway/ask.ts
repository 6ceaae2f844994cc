import type { FastifyInstance, FastifyRequest } from 'fastify'
import { chatChoices, chatEventStream } from '../../processors/contents/chat-shape.ts'
import { answerChat, askChat, type ChatQuestion } from '../../relay/run/chat.ts'
import type { RelayServices } from '../../relay/services.ts'
import type { ChatRequest, ChatResponse } from '../../sdk/chat.ts'
import { modelNotFound, RouterError, upstreamFailed } from '../../sdk/errors.ts'
import type { Answer, AnswerEvent, Question } from '../../sdk/question.ts'
import type { Model } from '../../sdk/target.ts'
import type { QuestionEnd, QuestionUse } from '../auth/question-use.ts'
import { factsOfChat } from '../auto/facts.ts'
import { processedClient } from '../processors/processed-client.ts'
import { blocked } from '../processors/protection.ts'
import { AnswerEvents, readableEvents } from './answer-events.ts'
import { chatOfQuestion, promptBytesOf } from './chat-of-question.ts'

interface BegunQuestion {
  model: Model
  chat: ChatRequest
  use: QuestionUse
}

/**
 * Calls a model for an extension's endpoint, with the permissions and limits of the endpoint's client. Throws
 * the client's error.
 */
export async function ask(
  app: FastifyInstance,
  services: RelayServices,
  question: Question,
  request: FastifyRequest,
): Promise<Answer> {
  const { model, chat, use } = await begin(app, question, request, { stream: false })
  const { exchange } = request
  const signal = question.signal && cancelledWith(question.signal, exchange.signal)
  try {
    const retrieved = await app.retrieval.augmentChat(chat, model, request)
    const processing = app.processors.begin(request, model)
    const processed = processing ? await processing.processChat(retrieved) : retrieved
    const received = await askChat({ model, request: processed, ...(signal && { signal }) }, services)
    const response = (await processing?.processResponse(received)) ?? received
    await use.end({ usage: response.usage, answerBytes: bytesOf(response) })
    const { sources } = request
    return { ...answerOf(response, exchange.answeringModel ?? model.alias), ...(sources ? { sources } : {}) }
  } catch (thrown) {
    await use.end({ usage: undefined, answerBytes: 0, thrown })
    throw thrown
  }
}

/** Calls a model for an endpoint of the router, which has resolved the model and counts its usage itself. */
export async function askForEndpoint(
  app: FastifyInstance,
  services: RelayServices,
  question: ChatQuestion,
  request: FastifyRequest,
): Promise<ChatResponse> {
  const { model } = question
  const chat = app.retrieval.isUsed
    ? await app.retrieval.augmentChat(question.request, model, request)
    : question.request
  const processing = app.processors.begin(request, model)
  if (!processing) return askChat({ ...question, request: chat }, services)
  const received = await askChat({ ...question, request: await processing.processChat(chat) }, services)
  const response = await processing.processResponse(received)
  if (processing.isBlocked) throw blocked('response')
  return response
}

/** As `ask`, but yields the response as a stream of events. Cancels the call if its reader stops early. */
export async function* stream(
  app: FastifyInstance,
  services: RelayServices,
  question: Question,
  request: FastifyRequest,
): AsyncGenerator<AnswerEvent, void, undefined> {
  const { model, chat, use } = await begin(app, question, request, { stream: true })
  const { exchange } = request
  const gone = questionCancelled()
  const stop = new AbortController()
  const own = question.signal ? AbortSignal.any([stop.signal, question.signal]) : stop.signal
  const signal = cancelledWith(own, exchange.signal, gone)
  const answer = new AnswerEvents()
  const client = {
    dialect: AnswerEvents.dialect(app.dialects.get('openai')),
    alias: model.alias,
    model,
    source: { from: 'router', request: chat },
    outline: {},
    readBody: () => ({}),
    stream: true,
    includeUsage: true,
  } as const
  const processing = app.processors.begin(request, model)
  const form = { contents: chatEventStream, answers: chatChoices, mediaType: 'application/x-ndjson' }
  const run = async (): Promise<void> => {
    const retrieved = await app.retrieval.augmentClientRequest(client, request)
    const processed = processing ? await processing.processClientRequest(retrieved) : retrieved
    const end = processing?.readsResponses ? processedClient(answer, processing, form) : undefined
    await answerChat(processed, end?.client ?? answer, { ...services, signal })
    await end?.settled()
  }
  const running = run().then(
    () => answer.end(),
    (thrown: unknown) => answer.fail(thrown),
  )
  const ending: QuestionEnd = { usage: undefined, answerBytes: 0, thrown: gone }
  // A reader that neither continues nor stops must not hold the call's resources.
  exchange.onClose(() => {
    stop.abort()
    void use.end(ending)
  })
  try {
    for await (const event of readableEvents(answer.events(), () => exchange.answeringModel ?? model.alias)) {
      if (event.type === 'end') {
        ending.usage = event.usage
        ending.thrown = undefined
      } else {
        ending.answerBytes += Buffer.byteLength(event.type === 'tool-call' ? event.arguments : event.text)
      }
      yield event
    }
  } catch (thrown) {
    ending.thrown = thrown
    throw thrown
  } finally {
    stop.abort()
    await running
    // Stopping early is not a failure of the request.
    if (exchange.error === gone) exchange.error = undefined
    await use.end(ending)
  }
}

/** Checks the question, permissions and limits, and sets model and dialect for the log and metrics. */
async function begin(
  app: FastifyInstance,
  question: Question,
  request: FastifyRequest,
  { stream }: { stream: boolean },
): Promise<BegunQuestion> {
  const chat = chatOfQuestion(question, { stream })
  app.rights.requireModelAccess(request)
  request.autoChoice = undefined
  if (app.auto.appliesTo(chat.model)) await app.auto.choose(request, factsOfChat(chat, request), ['chat'])
  const model = app.rights.models(request).find(chat.model)
  if (!model) throw modelNotFound(chat.model.slice(0, 256))
  const { exchange, client } = request
  exchange.dialect ??= app.errorDialectOf(request)
  exchange.model ??= model.alias
  if (stream) exchange.stream = true
  const most = client?.maxTokens
  if (most !== undefined) chat.sampling.maxTokens = Math.min(most, chat.sampling.maxTokens ?? most)
  const { maxTokens } = chat.sampling
  await app.budgets.admitModel(request, model.alias)
  const cost = { model: model.alias, promptBytes: promptBytesOf(chat), maxTokens }
  return { model, chat, use: await app.rights.beginQuestion(request, cost) }
}

/** Aborts with the request's own reason when it ends; cancelling the call counts for the target as a disconnected client. */
function cancelledWith(own: AbortSignal, ofRequest: AbortSignal, gone = questionCancelled()): AbortSignal {
  const controller = new AbortController()
  const onRequest = (): void => controller.abort(ofRequest.reason)
  const onOwn = (): void => controller.abort(gone)
  for (const [signal, listener] of [
    [ofRequest, onRequest],
    [own, onOwn],
  ] as const) {
    if (signal.aborted) listener()
    else signal.addEventListener('abort', listener, { once: true, signal: controller.signal })
  }
  return controller.signal
}

function questionCancelled(): RouterError {
  return new RouterError('client_gone', 'The question was cancelled')
}

function answerOf({ choices, usage }: ChatResponse, model: string): Answer {
  const [choice] = choices
  if (!choice) throw upstreamFailed('The upstream sent a response without a choice', 'BAD_ANSWER')
  const { text, reasoning, refusal, toolCalls, finishReason } = choice
  return {
    model,
    text,
    reasoning,
    toolCalls,
    finishReason,
    usage,
    ...(refusal === undefined ? {} : { refusal }),
  }
}

function bytesOf({ choices: [choice] }: ChatResponse): number {
  if (!choice) return 0
  const calls = choice.toolCalls.map(({ arguments: text }) => text)
  return Buffer.byteLength([choice.text, choice.reasoning, choice.refusal ?? '', ...calls].join(''))
}
