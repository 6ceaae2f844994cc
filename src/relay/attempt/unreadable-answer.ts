import { RouterError } from '../../sdk/errors.ts'
import type { Target } from '../../sdk/target.ts'
import type { UpstreamRequest } from '../../sdk/transport.ts'
import { failureOfReport } from './status-failure.ts'
import { type Failure, garbageFailure } from './upstream-failure.ts'
import { noteUpstreamText } from './upstream-text.ts'

/** A whole answer with a good status that is an error, or that nobody can read. `sent`: what it answers. */
export function unreadableAnswer(
  error: unknown,
  target: Target,
  sent: Pick<UpstreamRequest, 'body'>,
): { type: 'failed' } & Failure {
  const failure = error instanceof RouterError ? failureOfReport(error) : garbageFailure(error)
  noteUpstreamText(failure.error, target, sent)
  return { type: 'failed', ...failure }
}
