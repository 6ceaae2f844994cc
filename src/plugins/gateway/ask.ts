import type { FastifyInstance, FastifyRequest } from 'fastify'
import { chatEventStream } from '../../processors/contents/chat-shape.ts'
import { answerChat, askChat } from '../../relay/run/chat.ts'
import type { RelayServices } from '../../relay/services.ts'
import type { ChatRequest, ChatResponse } from '../../sdk/chat.ts'
import { modelNotFound, RouterError, upstreamFailed } from '../../sdk/errors.ts'
import type { Answer, AnswerEvent, Question } from '../../sdk/question.ts'
import type { Model } from '../../sdk/target.ts'
import type { QuestionEnd, QuestionUse } from '../auth/question-use.ts'
import { factsOfChat } from '../auto/facts.ts'
import { restoringClient } from '../processors/restoring-client.ts'
import { AnswerEvents, readableEvents } from './answer-events.ts'
import { chatOfQuestion, promptBytesOf } from './chat-of-question.ts'

interface Begun {
  model: Model
  chat: ChatRequest
  use: QuestionUse
}

/**
 * Asks a model for an endpoint of an extension, with the rights and limits of the client that the endpoint was asked by. Throws
 * the error to tell that client.
 */
export async function ask(
  app: FastifyInstance,
  services: RelayServices,
  question: Question,
  request: FastifyRequest,
): Promise<Answer> {
  const { model, chat, use } = await begin(app, question, request, { stream: false })
  const { exchange } = request
  const signal = question.signal && stopped(question.signal, exchange.signal)
  try {
    const retrieved = await app.retrieval.chat(chat, model, request)
    const processing = app.processors.begin(request, model)
    const asked = processing ? await processing.chat(retrieved) : retrieved
    const given = await askChat({ model, request: asked, ...(signal && { signal }) }, services)
    const response = processing?.restoredChat(given) ?? given
    await use.end({ usage: response.usage, answerBytes: bytesOf(response) })
    const { sources } = request
    return { ...answerOf(response, exchange.answeringModel ?? model.alias), ...(sources ? { sources } : {}) }
  } catch (thrown) {
    await use.end({ usage: undefined, answerBytes: 0, thrown })
    throw thrown
  }
}

/** The same, as the answer is written. Ends the question when its reader stops early. */
export async function* stream(
  app: FastifyInstance,
  services: RelayServices,
  question: Question,
  request: FastifyRequest,
): AsyncGenerator<AnswerEvent, void, undefined> {
  const { model, chat, use } = await begin(app, question, request, { stream: true })
  const { exchange } = request
  const gone = left()
  const stop = new AbortController()
  const own = question.signal ? AbortSignal.any([stop.signal, question.signal]) : stop.signal
  const signal = stopped(own, exchange.signal, gone)
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
  const form = { contents: chatEventStream, mediaType: 'application/x-ndjson' }
  const end = processing?.masks ? restoringClient(answer, processing, form) : answer
  const asking = async (): Promise<void> => {
    const retrieved = await app.retrieval.client(client, request)
    const asked = processing ? await processing.client(retrieved) : retrieved
    await answerChat(asked, end, { ...services, signal })
  }
  const running = asking().then(
    () => answer.end(),
    (thrown: unknown) => answer.fail(thrown),
  )
  const ending: QuestionEnd = { usage: undefined, answerBytes: 0, thrown: gone }
  // Who neither reads on nor stops reading must not hold what the question has.
  exchange.onClose(() => {
    stop.abort()
    void use.end(ending)
  })
  try {
    for await (const event of readableEvents(answer.events(), () => exchange.answeringModel ?? model.alias)) {
      if (event.type === 'end') Object.assign(ending, { usage: event.usage, thrown: undefined })
      else ending.answerBytes += Buffer.byteLength(event.type === 'tool-call' ? event.arguments : event.text)
      yield event
    }
  } catch (thrown) {
    ending.thrown = thrown
    throw thrown
  } finally {
    stop.abort()
    await running
    // That the rest of the answer was not wanted is no failure of the request.
    if (exchange.error === gone) exchange.error = undefined
    await use.end(ending)
  }
}

/** Checks the question and the client's rights and limits, and names model and dialect for the log and the metrics. */
async function begin(
  app: FastifyInstance,
  question: Question,
  request: FastifyRequest,
  { stream }: { stream: boolean },
): Promise<Begun> {
  const chat = chatOfQuestion(question, { stream })
  app.rights.checkAsking(request)
  request.autoChoice = undefined
  if (app.auto.isMeant(chat.model)) await app.auto.choose(request, factsOfChat(chat, request), ['chat'])
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

/** The end of the request counts, with its own reason; that of the question is to the target as if the client had left. */
function stopped(own: AbortSignal, ofRequest: AbortSignal, gone = left()): AbortSignal {
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

function left(): RouterError {
  return new RouterError('client_gone', 'The question was cancelled')
}

function answerOf({ choices, usage }: ChatResponse, model: string): Answer {
  const [choice] = choices
  if (!choice) throw upstreamFailed('The upstream sent a response without a choice', 'BAD_ANSWER')
  const { text, reasoning, refusal, toolCalls, finishReason } = choice
  return {
    ...{ model, text, reasoning, toolCalls, finishReason, usage },
    ...(refusal === undefined ? {} : { refusal }),
  }
}

function bytesOf({ choices: [choice] }: ChatResponse): number {
  if (!choice) return 0
  const calls = choice.toolCalls.map(({ arguments: text }) => text)
  return Buffer.byteLength([choice.text, choice.reasoning, choice.refusal ?? '', ...calls].join(''))
}
