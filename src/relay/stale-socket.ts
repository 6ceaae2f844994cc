import type { AttemptResult } from './attempt.ts'

type FailedAttempt = Extract<AttemptResult, { type: 'failed' }>

/** A kept-alive socket may have been closed just then: the same once more, over a fresh one. */
export async function onceMoreIfStale<Result extends { type: string }>(
  send: (freshSocket: boolean) => Promise<Result | FailedAttempt>,
): Promise<Result | FailedAttempt> {
  const first = await send(false)
  if (!isFailed(first) || first.retry !== 'same') return first
  const again = await send(true)
  return isFailed(again) && again.retry === 'same' ? { ...again, retry: 'next', verdict: 'failure' } : again
}

function isFailed(result: { type: string }): result is FailedAttempt {
  return result.type === 'failed'
}
