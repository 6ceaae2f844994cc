import { Exchange, type ExchangeRecord } from '../../relay/exchange.ts'
import type { Step } from '../../relay/steps.ts'
import { asRouterError } from '../../sdk/errors.ts'

/** A request that the router makes for itself while it answers a client's. */
export interface InternalRequest {
  /** The client's request; its end ends this one. */
  readonly parent: Exchange
  /** Alias of the model. */
  readonly model: string
  /** Whether its usage is the client's. */
  readonly isBooked: boolean
}

/** Who asks, in logs and metrics. */
const internalClient = 'internal'

/** Runs it with an exchange of its own, which ends with the record of what it took. */
export async function runInternal<T>(
  { parent, model, isBooked }: InternalRequest,
  run: (exchange: Exchange) => Promise<T>,
  to: {
    onStep: (step: Step, exchange: Exchange) => void
    onEnd(record: ExchangeRecord, exchange: Exchange): void
  },
): Promise<T> {
  const exchange = new Exchange(parent.id, to.onStep)
  const { signal } = parent
  const onAbort = (): void => exchange.abort(asRouterError(signal.reason))
  if (signal.aborted) onAbort()
  signal.addEventListener('abort', onAbort, { once: true })
  exchange.client = internalClient
  exchange.model = model
  exchange.trace = parent.trace
  exchange.readAt = exchange.startedAt
  try {
    return await run(exchange)
  } catch (error) {
    exchange.error = asRouterError(error)
    throw error
  } finally {
    signal.removeEventListener('abort', onAbort)
    exchange.close(true)
    const { usage, error } = exchange
    if (isBooked && usage) parent.bookedTokens += usage.promptTokens + usage.completionTokens
    const status = error?.kind === 'client_gone' ? 499 : (error?.status ?? 200)
    const { client, key } = parent
    to.onEnd(
      { ...recordOf(exchange, status), ...(isBooked && client ? { bookedTo: { client, key } } : {}) },
      exchange,
    )
  }
}

function recordOf(exchange: Exchange, status: number): ExchangeRecord {
  const { id, startedAt, firstContentAt, sentAt } = exchange
  return {
    id,
    ...{ method: 'POST', endpoint: internalClient, status, outcome: exchange.outcome(status) },
    durationMs: exchange.elapsedMs(),
    dialect: undefined,
    model: exchange.model,
    answeringModel: exchange.answeringModel,
    target: exchange.target,
    providerType: exchange.providerType,
    client: exchange.client,
    key: undefined,
    stream: false,
    attempts: exchange.attempts,
    work: exchange.work,
    reason: exchange.reasons.toString() || undefined,
    ownMs: undefined,
    firstContentMs: firstContentAt === undefined ? undefined : firstContentAt - startedAt,
    usage: exchange.usage,
    estimatedTokens: () => ({ prompt: 0, maxCompletion: 0 }),
    sinceSentMs: sentAt === undefined ? undefined : performance.now() - sentAt,
    dropped: [],
    error: exchange.error,
    requestBytes: 0,
    responseBytes: 0,
    // Its attempts are part of the client's trace, whose span ends with the client's request.
    trace: undefined,
  }
}
