import type { CallLog } from '../steps.ts'
import type { AttemptResult } from './open-attempt.ts'

export type FailedAttempt = Extract<AttemptResult, { type: 'failed' }>

/** Sends a request, over a socket of its own or not, and calls back once with what became of it. Never throws. */
export type Send<Result> = (freshSocket: boolean, onResult: (result: Result | FailedAttempt) => void) => void

/**
 * Sends a request to a target of `model`, and waits for its end outside of the router. A kept-alive socket may have been
 * closed just then: the same once more, over a fresh one. Calls back, since a promise costs a request more than that.
 */
export function onceMoreIfStale<Result extends { type: string }>(
  send: Send<Result>,
  { calls, model }: { calls: CallLog; model: string },
  onResult: (result: Result | FailedAttempt) => void,
): void {
  const end = (result: Result | FailedAttempt): void => {
    calls.comeBack()
    onResult(result)
  }
  calls.leave()
  send(false, (first) => {
    if (!isFailed(first) || first.retry !== 'same') return end(first)
    calls.resent(model)
    send(true, (again) => {
      end(isFailed(again) ? afterSilentClose(again) : again)
    })
  })
}

/** The first socket closed without a byte, and so did the second one, or there was none: the server may have died of it. */
function afterSilentClose(again: FailedAttempt): FailedAttempt {
  if (again.retry === 'same') return { ...again, retry: 'next', verdict: 'undecided', closedSilently: true }
  return again.verdict === 'connect' ? { ...again, closedSilently: true } : again
}

function isFailed(result: { type: string }): result is FailedAttempt {
  return result.type === 'failed'
}
