import type { AttemptResult } from './attempt.ts'
import type { CallLog } from './call-log.ts'

type FailedAttempt = Extract<AttemptResult, { type: 'failed' }>

/**
 * Sends a request to a target of `model`, and waits for its end outside of the router. A kept-alive socket may have been
 * closed just then: the same once more, over a fresh one.
 */
export async function onceMoreIfStale<Result extends { type: string }>(
  send: (freshSocket: boolean) => Promise<Result | FailedAttempt>,
  calls: CallLog,
  model: string,
): Promise<Result | FailedAttempt> {
  calls.leave()
  try {
    const first = await send(false)
    if (!isFailed(first) || first.retry !== 'same') return first
    calls.resent(model)
    const again = await send(true)
    return isFailed(again) && again.retry === 'same' ? { ...again, retry: 'next', verdict: 'failure' } : again
  } finally {
    calls.comeBack()
  }
}

function isFailed(result: { type: string }): result is FailedAttempt {
  return result.type === 'failed'
}
