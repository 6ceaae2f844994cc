import { isObject } from '../../lib/json/read.ts'
import { RouterError } from '../../sdk/errors.ts'
import type { Target } from '../../sdk/target.ts'
import type { Exchange } from '../exchange.ts'
import { isLoadingAnswer } from '../upstream/upstream-answer.ts'
import { type AttemptFailure, type AttemptResult, final, movesOn } from './attempt-result.ts'

/** State of servers that are loading their models. */
export interface Loading {
  isLoading(target: Target): boolean
  /** The server has just reported that it is loading. */
  noteLoading(target: Target): void
  /**
   * `ready`: it may have loaded. `elsewhere`: another target of the model is usable, or a reload removed this one.
   * `timeout`: the maximum wait has passed. `stopped`: the request is over.
   */
  wait(target: Target, waiting: WaitingRequest): Promise<'ready' | 'elsewhere' | 'timeout' | 'stopped'>
}

/** Conditions of waiting for a server. */
export interface LoadingWait {
  /** Whether another target, which has not failed the request, could take it. */
  isAlternative(target: Target): boolean
  /** A fallback model exists, so waiting is not necessary. */
  readonly hasFallback: boolean
}

/** A request waiting for a server. */
export interface WaitingRequest extends LoadingWait {
  /** The limit applies to the sum of all its waits. */
  readonly request: object
  readonly stop: AbortSignal
}

const loadingCode = 'LOADING'

/** Waits for a server that is loading its model; this is not the router's own time. Undefined: it may have loaded. */
export async function waitWhileLoading(
  target: Target,
  wait: LoadingWait,
  {
    loading,
    exchange,
    signal: stop = exchange.signal,
  }: { loading: Loading; exchange: Exchange; signal?: AbortSignal },
): Promise<AttemptFailure | undefined> {
  const { hasFallback } = wait
  const isAlternative = (other: Target): boolean => wait.isAlternative(other)
  const waited = loading.wait(target, { hasFallback, isAlternative, stop, request: exchange })
  switch (await exchange.steps.awaitExternal(waited)) {
    case 'ready':
      return undefined
    case 'elsewhere':
      return { ...loadingFailure(), retry: 'any' }
    case 'timeout':
      return loadingFailure()
    case 'stopped':
      return final(stop.reason as RouterError) // the exchange only aborts with RouterErrors
  }
}

/** Whether a server reported that it is loading its model. */
export function isLoadingReport(result: AttemptResult): boolean {
  if (result.type === 'success' || result.retry !== 'next') return false
  const { cause, causeCode } = result.error
  return causeCode === 'HTTP_503' && isObject(cause) && isLoadingAnswer(503, String(cause.message ?? ''))
}

/** Whether an attempt ended because its server is loading. */
export function isLoadingFailure(failure: AttemptFailure): boolean {
  return failure.error.causeCode === loadingCode
}

function loadingFailure(): AttemptFailure {
  const details = { code: 'model_loading', causeCode: loadingCode, retryAfterSeconds: 10 }
  return movesOn(new RouterError('overloaded', 'The model is still loading', details), 'nothing')
}
