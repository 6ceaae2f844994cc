import type { Usage } from './chat.ts'
import type { RouterError } from './errors.ts'
import type { Ending } from './lease.ts'
import type { Operation } from './provider.ts'
import type { Target } from './target.ts'

/** `traceparent` and, where the client sent one, `tracestate`. */
export type TraceHeaders = Readonly<Record<string, string>>

/** The place of one request in a distributed trace. */
export interface RequestTrace {
  /** 32 hex digits. */
  readonly traceId: string
  /** 16 hex digits: what the log lines of the request carry. */
  readonly spanId: string
  /** A try at a target begins. `after`: why the one before it did not deliver. */
  beginCall(target: Target, after: RouterError | undefined): CallTrace
}

/** The place of one try at one target. Hears what becomes of it; never throws. */
export interface CallTrace {
  /** Hears what is sent, once more where it is sent again; gives the headers that tell the upstream its place. */
  sending(operation: Operation, stream: boolean): TraceHeaders
  /** The first content has come of an answer that goes to the client as it comes. */
  contentSeen(): void
  /** The bytes of the upstream's answer, in order, cut anywhere. Absent: nobody wants to know. */
  received?(bytes: Buffer): void
  /** Token counts of the answer. */
  used(usage: Usage | undefined): void
  /** The try is over; called once, last. */
  end(ending: Pick<Ending, 'result' | 'error'>): void
}
