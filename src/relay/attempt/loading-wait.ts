import { isObject } from '../../lib/json/read.ts'
import type { StopSignal } from '../../lib/stop-signal.ts'
import { RouterError } from '../../sdk/errors.ts'
import type { Target } from '../../sdk/target.ts'
import type { CallLog } from '../steps.ts'
import { isLoadingAnswer } from '../upstream/error-texts.ts'
import { type Failure, next, none } from './upstream-failure.ts'

/** What is known of servers that load their models. */
export interface Loading {
  isLoading(target: Target): boolean
  /** It has just said so in the place of an answer. */
  says(target: Target): void
  /**
   * `ready`: it may have loaded. `elsewhere`: another target of the model can be used, or this one is none of it any more. `timeout`: the request has waited as
   * long as one may. `stopped`: it is over.
   */
  wait(target: Target, waiting: WaitingRequest): Promise<'ready' | 'elsewhere' | 'timeout' | 'stopped'>
}

/** A request that waits for a server. */
export interface WaitingRequest {
  /** All its waits together are bounded. */
  readonly request: object
  readonly stop: StopSignal
  /** Whether it could be sent to another target: one that has not failed it. */
  isElse(target: Target): boolean
  /** Another model answers: it need not wait. */
  readonly hasFallback: boolean
}

export interface LoadingServices extends Omit<WaitingRequest, 'request'> {
  loading: Loading
  exchange: { readonly calls: CallLog }
}

const loadingCode = 'LOADING'

type Sent = { type: string }
type Failed = { type: 'failed' } & Failure

/**
 * Sends to a target, and again where its server says that it is loading: that is no failure. Where another target can be
 * used the request goes there instead.
 */
export async function onceLoaded<Result extends Sent>(
  { loading, exchange, ...waiting }: LoadingServices,
  target: Target,
  send: () => Promise<Result | Failed>,
): Promise<Result | Failed> {
  for (;;) {
    if (!loading.isLoading(target)) {
      const result = await send()
      if (!isLoadingResult(result)) return result
      loading.says(target)
    }
    const outcome = await exchange.calls.outside(loading.wait(target, { ...waiting, request: exchange }))
    switch (outcome) {
      case 'ready':
        continue
      case 'elsewhere':
        return { type: 'failed', ...stillLoading(), retry: 'anew' }
      case 'timeout':
        return { type: 'failed', ...stillLoading() }
      case 'stopped':
        return { type: 'failed', ...none(waiting.stop.reason as RouterError) } // the exchange aborts with nothing else
    }
  }
}

function isLoadingResult(result: Sent): boolean {
  if (!isFailed(result) || result.retry !== 'next') return false
  const { cause, causeCode } = result.error
  return causeCode === 'HTTP_503' && isObject(cause) && isLoadingAnswer(503, String(cause.message ?? ''))
}

function isFailed(result: Sent): result is Failed {
  return result.type === 'failed'
}

/** Whether an attempt ended because its server loads. */
export function isStillLoading(result: Sent): boolean {
  return isFailed(result) && result.error.causeCode === loadingCode
}

function stillLoading(): Failure {
  const details = { code: 'model_loading', causeCode: loadingCode, retryAfterSeconds: 10 }
  return next(new RouterError('overloaded', 'The model is still loading', details), 'nothing')
}
