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
  says(target: Target): void
  /**
   * `ready`: it may have loaded. `elsewhere`: another target of the model is usable, or a reload removed this one.
   * `timeout`: the maximum wait has passed. `stopped`: the request is over.
   */
  wait(target: Target, waiting: WaitingRequest): Promise<'ready' | 'elsewhere' | 'timeout' | 'stopped'>
}

/** Conditions of waiting for a server. */
export interface LoadingWait {
  /** Whether another target, which has not failed the request, could take it. */
  isElse(target: Target): boolean
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
export async function whileLoading(
  target: Target,
  wait: LoadingWait,
  {
    loading,
    exchange,
    signal: stop = exchange.signal,
  }: { loading: Loading; exchange: Exchange; signal?: AbortSignal },
): Promise<AttemptFailure | undefined> {
  const { hasFallback } = wait
  const isElse = (other: Target): boolean => wait.isElse(other)
  const waited = loading.wait(target, { hasFallback, isElse, stop, request: exchange })
  switch (await exchange.steps.outside(waited)) {
    case 'ready':
      return undefined
    case 'elsewhere':
      return { ...stillLoading(), retry: 'any' }
    case 'timeout':
      return stillLoading()
    case 'stopped':
      return final(stop.reason as RouterError) // the exchange only aborts with RouterErrors
  }
}

/** Whether a server reported that it is loading its model. */
export function saysLoading(result: AttemptResult): boolean {
  if (result.type === 'success' || result.retry !== 'next') return false
  const { cause, causeCode } = result.error
  return causeCode === 'HTTP_503' && isObject(cause) && isLoadingAnswer(503, String(cause.message ?? ''))
}

/** Whether an attempt ended because its server is loading. */
export function isStillLoading(failure: AttemptFailure): boolean {
  return failure.error.causeCode === loadingCode
}

function stillLoading(): AttemptFailure {
  const details = { code: 'model_loading', causeCode: loadingCode, retryAfterSeconds: 10 }
  return movesOn(new RouterError('overloaded', 'The model is still loading', details), 'nothing')
}
