import type { Usage } from '../sdk/chat.ts'
import type { RouterError } from '../sdk/errors.ts'
import type { Operation } from '../sdk/provider.ts'
import type { Target } from '../sdk/target.ts'
import type { AttemptResult } from './attempt/attempt-result.ts'
import type { PickReasons } from './pick-reasons.ts'

/** `traceparent` and, where the client sent one, `tracestate`. */
export type TraceHeaders = Readonly<Record<string, string>>

/** The span of one request in a distributed trace. */
export interface RequestTrace {
  /** 32 hex digits. */
  readonly traceId: string
  /** 16 hex digits: what the log lines of the request carry. */
  readonly spanId: string
  /** An attempt begins. `after`: why the one before it failed; `reasons`: why its target was picked. */
  beginAttempt(target: Target, why: { after?: RouterError | undefined; reasons?: PickReasons }): AttemptTrace
}

/** The span of one attempt. Its methods never throw. */
export interface AttemptTrace {
  /** Called at each dispatch of the attempt's request; gives the headers that tell the upstream its place in the trace. */
  dispatched(operation: Operation, stream: boolean): TraceHeaders
  /** The first content has come of an answer that goes to the client as it comes. */
  contentSeen(): void
  /** The bytes of the upstream's answer, in order, cut anywhere. Absent: they are of no interest. */
  received?(bytes: Buffer): void
  /** Token counts of the answer. */
  used(usage: Usage | undefined): void
  /** The attempt is over; called once, last. */
  end(result: AttemptResult | undefined): void
}
