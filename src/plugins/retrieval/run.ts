import type { FastifyInstance, FastifyRequest } from 'fastify'
import type { Processed } from '../../relay/processed.ts'
import { asRouterError, RouterError } from '../../sdk/errors.ts'
import type { Retrieval } from './compiled.ts'
import type { IndexSearcher } from './index-searcher.ts'
import { type Passage, withinBudget } from './passages.ts'
import { type Hit, searchService } from './search-services.ts'

interface RetrievalContext {
  readonly app: FastifyInstance
  readonly searcher: IndexSearcher
  readonly request: FastifyRequest
  /** The question as a model, or the service at this address, may see it. */
  maskFor(text: string, service?: string): Promise<string>
}

/** Only the end of a longer question is searched for, in characters. */
const maxQuestion = 4_000

/** Passages that a retrieval finds for a question, within its budget. Throws the error for the client unless it fails open. */
export async function passagesOf(
  retrieval: Retrieval,
  text: string,
  context: RetrievalContext,
): Promise<Passage[]> {
  const { exchange, log } = context.request
  const { name, failure, minScore, maxTokens, timeoutMs } = retrieval
  const startedAt = performance.now()
  const record = (outcome: Processed['outcome'], values = 0): void => {
    exchange.processed ??= { steps: [], restored: 0, unknown: 0 }
    const durationMs = performance.now() - startedAt
    exchange.processed.steps.push({ processor: name, outcome, values, durationMs })
  }
  const timeout = AbortSignal.timeout(timeoutMs)
  const signal = AbortSignal.any([exchange.signal, timeout])
  try {
    const question = text.slice(-maxQuestion)
    const hits = await exchange.steps.awaitExternal(
      untilAborted(search(retrieval, question, context, signal), signal),
    )
    const good = hits.filter(
      ({ score, text: found }) => (score ?? minScore) >= minScore && found.trim() !== '',
    )
    const passages = withinBudget(
      good.map((hit) => ({ ...hit, retrieval: name })),
      maxTokens,
    )
    record(passages.length > 0 ? 'changed' : 'unchanged', passages.length)
    return passages
  } catch (thrown) {
    if (exchange.signal.aborted) throw asRouterError(exchange.signal.reason)
    const { name: errorName, message } = thrown instanceof Error ? thrown : new Error(String(thrown))
    const isOpen = failure === 'open'
    record(isOpen ? 'failed_open' : 'failed_closed')
    log.warn(
      {
        ...exchange.logIds,
        processor: name,
        error_name: errorName,
        ...(errorName === 'IndexError' ? { error: message } : {}),
      },
      isOpen ? 'processor failed; the request continues' : 'processor failed; the request is rejected',
    )
    if (isOpen) return []
    throw new RouterError('overloaded', `The request cannot be processed by '${name}' now`, {
      code: 'processor_failed',
      causeCode: 'PROCESSOR',
      retryAfterSeconds: 5,
      cause: thrown,
    })
  }
}

async function search(
  { from, limit }: Retrieval,
  question: string,
  { app, searcher, request, maskFor }: RetrievalContext,
  signal: AbortSignal,
): Promise<readonly Hit[]> {
  if (from.type !== 'index') {
    const query = from.unmasked ? question : await maskFor(question, from.url)
    return searchService(from, { query, limit, signal })
  }
  const { path, model } = from
  // The embedding model gets the same masked text as the model that answers.
  const query = await maskFor(question)
  const options = { request, operation: 'embedding', signal } as const
  const [vector] = await app.internalCalls.embed(model, [query], options)
  return vector ? searcher.search({ path, model, vector, limit }) : []
}

async function untilAborted<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  const aborted = Promise.withResolvers<never>()
  aborted.promise.catch(() => undefined)
  work.catch(() => undefined)
  const onAbort = (): void => aborted.reject(signal.reason)
  if (signal.aborted) onAbort()
  else signal.addEventListener('abort', onAbort, { once: true })
  try {
    return await Promise.race([work, aborted.promise])
  } finally {
    signal.removeEventListener('abort', onAbort)
  }
}
