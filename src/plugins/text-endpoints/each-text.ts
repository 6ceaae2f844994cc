import type { TProperties, TSchema } from '@sinclair/typebox'
import type { FastifyReply } from 'fastify'
import { droppedHeader } from '../../relay/answer/answer-headers.ts'
import type { ClientStream } from '../../relay/answer/client-stream.ts'
import type { ChatResponse } from '../../sdk/chat.ts'
import { asRouterError, RouterError } from '../../sdk/errors.ts'
import type { EachTextEndpoint } from '../../sdk/text-endpoint.ts'
import type { LimitUse } from '../auth/limit-use.ts'
import { chatOf, generationTime, type TextRun, textOf } from './text-run.ts'

/**
 * Asks about all texts concurrently and responds in their order: in one response, or as a stream with each result as
 * soon as the earlier ones are sent.
 */
export async function answerEach(
  endpoint: EachTextEndpoint<TProperties, TSchema>,
  run: TextRun,
): Promise<FastifyReply | Record<string, unknown>> {
  const dropped = new Map<string, string>()
  const outcomes = outcomesOf(endpoint, run, dropped)
  return run.body.stream === true ? streamed(outcomes, run, dropped) : whole(outcomes, run, dropped)
}

function outcomesOf(
  endpoint: EachTextEndpoint<TProperties, TSchema>,
  run: TextRun,
  dropped: Map<string, string>,
): AsyncGenerator<TextOutcome, void, undefined> {
  const { app, request, body, model, defaults } = run
  return eachText({
    texts: endpoint.texts(body),
    limit: request.limitUse?.slots ?? app.config.fanout,
    partial: body.partial === true,
    signal: request.exchange.signal,
    async ask(text, signal) {
      const question = {
        model,
        // The client's stream consists of results, not tokens, so each answer is collected whole.
        request: { ...chatOf(run, text), stream: false },
        defaults,
        signal,
        drop: (field: string, why: string) => dropped.set(field, why),
      }
      const response = await countUsage(app.gateway.askChat(question, request), request.limitUse)
      return endpoint.result(textOf(response), text, body)
    },
  })
}

/**
 * Marks the upstream request as counted if it has usage or used nothing. An uncounted one is estimated for the limits
 * of the client's key.
 */
async function countUsage(pending: Promise<ChatResponse>, use: LimitUse | undefined): Promise<ChatResponse> {
  const isCounted = use?.begin()
  try {
    const response = await pending
    if (response.usage) isCounted?.()
    return response
  } catch (thrown) {
    if (asRouterError(thrown).kind !== 'client_gone') isCounted?.()
    throw thrown
  }
}

async function whole(
  outcomes: AsyncIterable<TextOutcome>,
  run: TextRun,
  dropped: ReadonlyMap<string, string>,
): Promise<Record<string, unknown>> {
  const response: unknown[] = []
  const errors: { index: number; message: string }[] = []
  for await (const { index, result, error } of outcomes) {
    response.push(result)
    if (error) errors.push({ index, message: error.message })
  }
  report(run, dropped)
  run.reply.headers(droppedHeader(dropped))
  return {
    response,
    ...(run.body.partial === true ? { errors } : {}),
    generation_time: generationTime(run),
  }
}

/** Sends one event per finished text, then one with the totals. An error ends the stream as its last event. */
async function streamed(
  outcomes: AsyncIterable<TextOutcome>,
  run: TextRun,
  dropped: ReadonlyMap<string, string>,
): Promise<FastifyReply> {
  const { app, request, reply, wantsLines } = run
  const dialect = app.dialects.get(wantsLines ? 'ollama' : 'openai')
  const { stream, stopPings } = app.gateway.clientStream(reply, dialect)
  const send = async (event: unknown): Promise<void> => {
    if (!stream.committed) {
      report(run, dropped)
      stream.commit()
    }
    const json = JSON.stringify(event)
    await writeAndDrain(stream, wantsLines ? `${json}\n` : `data: ${json}\n\n`, request.exchange.signal)
  }
  try {
    let total = 0
    let failed = 0
    for await (const { index, result, error } of outcomes) {
      total++
      if (error) failed++
      await send({ index, result, ...(error ? { error: { message: error.message } } : {}) })
    }
    await send({ done: true, total, failed, generation_time: generationTime(run) })
  } catch (thrown) {
    if (!reply.sent) {
      stopPings()
      throw thrown
    }
    const error = asRouterError(thrown)
    request.exchange.error ??= error
    const options = { ownPath: true, debug: app.config.inDebug, requestId: request.id }
    stream.write(dialect.writeStreamError(error, options))
  }
  report(run, dropped)
  stream.end()
  return reply
}

/** Waits until a slow client has read, or has disconnected. */
async function writeAndDrain(stream: ClientStream, text: string, signal: AbortSignal): Promise<void> {
  if (stream.write(text) || signal.aborted) return
  const { promise, resolve } = Promise.withResolvers<void>()
  const onAbort = (): void => resolve()
  signal.addEventListener('abort', onAbort, { once: true })
  stream.onDrain(resolve)
  await promise
  signal.removeEventListener('abort', onAbort)
}

/**
 * Writes all dropped fields to the log. Attempts run concurrently and each resets the log's list, so the fields are
 * collected separately.
 */
function report({ request }: TextRun, dropped: ReadonlyMap<string, string>): void {
  for (const [field, why] of dropped) request.exchange.drop(field, why)
}

export interface TextOutcome {
  /** Index in the list of texts. */
  index: number
  /** `null` for a text that failed. */
  result: unknown
  error: RouterError | undefined
}

export interface EachTextOptions {
  texts: readonly string[]
  /** Maximum concurrent texts. */
  limit: number
  /** Whether the other texts continue after one has failed. */
  partial: boolean
  /** Cancels all texts. */
  signal: AbortSignal
  /** Must reject when `signal` is aborted. */
  ask(text: string, signal: AbortSignal): Promise<unknown>
}

/**
 * Asks about several texts concurrently and yields the outcomes in order, each as soon as the earlier ones are done.
 * The first failure cancels the others and is thrown, with the text's index. Returns or throws only when no call is
 * running, even if the consumer stops early.
 */
export async function* eachText(options: EachTextOptions): AsyncGenerator<TextOutcome, void, undefined> {
  const { texts, limit, signal } = options
  const controller = new AbortController()
  const stop = AbortSignal.any([signal, controller.signal])
  const outcomes = texts.map(() => Promise.withResolvers<TextOutcome>())
  const failure = Promise.withResolvers<never>()
  // It is raced below; prevents an unhandled rejection when nothing awaits it any more.
  failure.promise.catch(() => undefined)
  const waiting = texts.entries()
  const work = async (): Promise<void> => {
    for (const [index, text] of waiting) {
      try {
        outcomes[index]?.resolve(await outcomeOf(options, index, text, stop))
      } catch (thrown) {
        failure.reject(thrown)
        controller.abort(cancelled())
      }
      if (controller.signal.aborted) return
    }
  }
  const workers = Promise.all(Array.from({ length: Math.min(limit, texts.length) }, work))
  try {
    for (const { promise } of outcomes) yield await Promise.race([promise, failure.promise])
  } finally {
    controller.abort(cancelled())
    await workers
  }
}

async function outcomeOf(
  { partial, ask }: EachTextOptions,
  index: number,
  text: string,
  stop: AbortSignal,
): Promise<TextOutcome> {
  try {
    return { index, result: await ask(text, stop), error: undefined }
  } catch (thrown) {
    if (partial && !stop.aborted && isForClients(thrown)) return { index, result: null, error: thrown }
    throw withTextIndex(thrown, index)
  }
}

function isForClients(thrown: unknown): thrown is RouterError {
  return thrown instanceof RouterError && thrown.kind !== 'internal'
}

/** Ends attempts as if the client had disconnected, which does not count against the target. */
function cancelled(): RouterError {
  return new RouterError('client_gone', 'Another text of the request failed')
}

/** The same error, with the index of its text. */
function withTextIndex(thrown: unknown, index: number): unknown {
  if (!isForClients(thrown) || thrown.kind === 'client_gone') return thrown
  const { kind, message, status, code, retryAfterSeconds, shouldRetry, causeCode, cause } = thrown
  return new RouterError(kind, `texts[${index}]: ${message}`, {
    status,
    param: `texts[${index}]`,
    cause,
    ...(code === undefined ? {} : { code }),
    ...(retryAfterSeconds === undefined ? {} : { retryAfterSeconds }),
    ...(shouldRetry === undefined ? {} : { shouldRetry }),
    ...(causeCode === undefined ? {} : { causeCode }),
  })
}
