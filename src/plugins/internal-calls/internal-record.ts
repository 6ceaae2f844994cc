import type { Exchange } from '../../relay/exchange.ts'
import type { ExchangeRecord } from '../../relay/exchange-record.ts'
import { asRouterError, type RouterError } from '../../sdk/errors.ts'
import type { Operation } from '../../sdk/operation.ts'

/** Client label of internal calls in metrics. */
export const internalClient = 'internal'

/** The metrics record of an internal call. `thrown`: undefined on success. */
export function internalRecord(exchange: Exchange, operation: Operation, thrown: unknown): ExchangeRecord {
  const error: RouterError | undefined = thrown === undefined ? undefined : asRouterError(thrown)
  const isGone = error?.kind === 'client_gone'
  return {
    id: exchange.id,
    method: 'POST',
    endpoint: internalClient,
    status: error ? (isGone ? 499 : error.status) : 200,
    outcome: error ? (isGone ? 'client_gone' : 'error') : 'success',
    durationMs: exchange.elapsedMs(),
    dialect: exchange.dialect,
    model: exchange.model,
    answeringModel: exchange.answeringModel,
    target: exchange.target,
    providerType: exchange.providerType,
    client: internalClient,
    key: undefined,
    stream: false,
    attempts: exchange.attempts,
    work: exchange.work,
    ownMs: undefined,
    firstContentMs: undefined,
    usage: exchange.usage,
    estimatedTokens: () => ({ prompt: 0, maxCompletion: 0 }),
    sinceSentMs: undefined,
    dropped: [],
    error,
    requestBytes: exchange.receivedBytes,
    responseBytes: 0,
    trace: exchange.trace,
    operation,
  }
}
