import { isObject } from '../../lib/json/read.ts'
import type { StopSignal } from '../../lib/stop-signal.ts'
import { RouterError } from '../../sdk/errors.ts'
import type { Target } from '../../sdk/target.ts'
import type { CallLog } from '../call-log.ts'
import { isLoadingAnswer } from './loading-answer.ts'
import { type Failure, next, none } from './upstream-failure.ts'

/** What is known of servers that load their models. */
export interface Loading {
  isLoading(target: Target): boolean
  /** It has just said so in the place of an answer. */
  says(target: Target): void
  /**
   * `ready`: it may have loaded. `elsewhere`: another target of the model can be used. `timeout`: the request has waited as
   * long as one may. `stopped`: it is over.
   */
  wait(
    target: Target,
    request: object,
    stop: StopSignal,
  ): Promise<'ready' | 'elsewhere' | 'timeout' | 'stopped'>
}

export interface LoadingServices {
  loading: Loading
  exchange: { readonly stop: StopSignal; readonly calls: CallLog }
  signal?: StopSignal
}

type Sent = { type: string }
type Failed = { type: 'failed' } & Failure

/**
 * Sends to a target, and again where its server says that it is loading: that is no failure. Where another target can be
 * used the request goes there instead.
 */
export async function onceLoaded<Result extends Sent>(
  { loading, exchange, signal = exchange.stop }: LoadingServices,
  target: Target,
  send: () => Promise<Result | Failed>,
): Promise<Result | Failed> {
  for (;;) {
    if (!loading.isLoading(target)) {
      const result = await send()
      if (!isLoadingResult(result)) return result
      loading.says(target)
    }
    const outcome = await exchange.calls.outside(loading.wait(target, exchange, signal))
    switch (outcome) {
      case 'ready':
        continue
      case 'elsewhere':
      case 'timeout':
        return { type: 'failed', ...stillLoading() }
      case 'stopped':
        return { type: 'failed', ...none(signal.reason as RouterError) } // the exchange aborts with nothing else
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

function stillLoading(): Failure {
  const details = { code: 'model_loading', causeCode: 'LOADING', retryAfterSeconds: 10 }
  return next(new RouterError('overloaded', 'The model is still loading', details), 'nothing')
}
