import type { Usage } from '../../sdk/chat.ts'
import type { AnswerCollector, PassthroughState } from '../../sdk/dialect.ts'
import type { RouterError } from '../../sdk/errors.ts'
import type { RoutingRequest } from '../../sdk/strategy.ts'
import type { Model, Target } from '../../sdk/target.ts'
import type { ClientPipe } from '../answer/client-stream.ts'
import type { AnswerFilter } from '../answer/translation.ts'
import type { WholeAnswer } from '../answer/whole-answer.ts'
import type { RequestTraits } from '../request/request-traits.ts'
import type { UpstreamBody } from '../request/upstream-request.ts'
import type { RelayServices } from '../services.ts'
import type { AttemptTrace } from '../trace.ts'
import type { AttemptFailure } from './attempt-result.ts'

/** How one operation uses a model's targets: all differences between chats, embeddings, counts and forwarded operations. */
export interface AttemptPlan<Answer> {
  readonly model: Model
  readonly traits: RequestTraits
  readonly request: RoutingRequest
  /** Only these targets can answer; absent: all targets of the model. */
  readonly canServe?: ((target: Target) => boolean) | undefined
  /**
   * The request for one target. Throws a RouterError if this target cannot carry it but another may, and
   * UnreadableRequest if none can. `maxTokens`: token limit that replaces the client's.
   */
  prepare(target: Target, maxTokens?: number): PreparedAttempt<Answer>
}

/** An attempt as started by the loop over targets. */
export interface AttemptContext {
  readonly services: RelayServices
  readonly target: Target
  /** Aborted when the lease is revoked; before its first content, the attempt then ends. */
  readonly revoked?: AbortSignal | undefined
  readonly trace?: AttemptTrace | undefined
  /** Called at the first content of a stream. */
  onContent?(): void
}

/**
 * Records what is known of a streamed response. Called before its end is written, so that the record is complete when the
 * response closes.
 */
export function recordEnd(
  { services: { exchange }, trace }: AttemptContext,
  { usage, unknownReason, answerId }: PassthroughState,
  error?: RouterError,
): void {
  exchange.addUsage(usage)
  exchange.unknownReason = unknownReason
  exchange.answerId ??= answerId
  trace?.used(usage)
  if (error) exchange.error = error
}

/** The request for one target, and how its response is handled. */
export interface PreparedAttempt<Answer = unknown> extends UpstreamBody {
  /** Set if the response is streamed to the client; absent: it is buffered and read. */
  readonly stream?: (() => AnswerStream) | undefined
  /** Set if a whole response is requested as a stream: assembles it. */
  readonly collector?: (() => AnswerCollector) | undefined
  /** Destination for the bytes of a whole response that is too large to be buffered. */
  readonly large?: (() => AnswerStream) | undefined
  /** Whether the target has another operation for the request, if this one is not supported. */
  readonly hasAlternative?: boolean
  /** Reads a whole response. Throws if it reports an error or cannot be read. */
  read(answer: WholeAnswer): ReadAnswer<Answer> | AttemptFailure
}

export interface ReadAnswer<Answer> {
  answer: Answer
  usage: Usage | undefined
}

/** How a response is streamed to the client. */
export interface AnswerStream {
  readonly filter: AnswerFilter
  readonly client: ClientPipe
  /** Its bytes are opaque, whatever their media type: any of them is content. */
  readonly isOpaque?: boolean
  /** Ends a partially sent response so that it does not look complete. Called once, last. */
  fail(error: RouterError): void
}
