import type { Usage } from '../sdk/chat.ts'
import type { RouterError } from '../sdk/errors.ts'
import type { Operation } from '../sdk/operation.ts'
import type { Target } from '../sdk/target.ts'
import type { AttemptResult } from './attempt/attempt-result.ts'
import type { PickReasons } from './pick-reasons.ts'

/** `traceparent` and, where the client sent one, `tracestate`. */
export type TraceHeaders = Readonly<Record<string, string>>

/** The span of one request in a distributed trace. */
export interface RequestTrace {
  /** 32 hex digits. */
  readonly traceId: string
  /** 16 hex digits; part of the request's log lines. */
  readonly spanId: string
  /** An attempt begins. `after`: why the previous one failed; `reasons`: why its target was picked. */
  beginAttempt(target: Target, why: { after?: RouterError | undefined; reasons?: PickReasons }): AttemptTrace
}

/** The span of one attempt. Its methods never throw. */
export interface AttemptTrace {
  /** Called for each dispatch of the attempt's request; returns the headers that propagate the trace to the upstream. */
  dispatched(operation: Operation, stream: boolean): TraceHeaders
  /** The first content of a streamed response has arrived. */
  contentSeen(): void
  /** Gets the bytes of the upstream's response, in order, in arbitrary chunks. Absent: not needed. */
  received?(bytes: Buffer): void
  /** Token counts of the answer. */
  used(usage: Usage | undefined): void
  /** The attempt has ended; called once, last. */
  end(result: AttemptResult | undefined): void
}
