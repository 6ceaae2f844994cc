import type { Usage } from '../../sdk/chat.ts'
import type { AnswerCollector } from '../../sdk/dialect.ts'
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

/** How one operation uses a model's targets: all in which chats, embeddings, counts and forwarded operations differ. */
export interface AttemptPlan<Answer> {
  readonly model: Model
  readonly traits: RequestTraits
  readonly request: RoutingRequest
  /** Only these targets can answer; absent: all of the model. */
  readonly can?: ((target: Target) => boolean) | undefined
  /**
   * The request for one target. Throws a RouterError for what this target cannot carry, while another may, and
   * UnreadableRequest for what none can. `maxTokens`: the limit of the answer to send in place of the client's.
   */
  prepare(target: Target, maxTokens?: number): PreparedAttempt<Answer>
}

/** An attempt as the loop over targets began it. */
export interface AttemptContext {
  readonly services: RelayServices
  readonly target: Target
  /** Aborted when the target is another request's; before its first content the attempt is given up then. */
  readonly revoked?: AbortSignal | undefined
  readonly trace?: AttemptTrace | undefined
  /** Called at the first content of a stream. */
  onContent?(): void
}

/** The request for one target, and what becomes of its answer. */
export interface PreparedAttempt<Answer = unknown> extends UpstreamBody {
  /** Set where the client wants the answer as it comes; absent: it is collected, and read. */
  readonly stream?: (() => AnswerStream) | undefined
  /** Set where a whole answer is requested as a stream: assembles it. */
  readonly collector?: (() => AnswerCollector) | undefined
  /** Where the bytes of a whole answer may go as they come, once there are too many of them to collect. */
  readonly large?: (() => AnswerStream) | undefined
  /** Whether the target has another operation for the request, if it turns out not to have this one. */
  readonly hasAlternative?: boolean
  /** Reads a whole answer. Throws for one that reports an error, or that cannot be read. */
  read(answer: WholeAnswer): ReadAnswer<Answer> | AttemptFailure
}

export interface ReadAnswer<Answer> {
  answer: Answer
  usage: Usage | undefined
}

/** The way of an answer to its client, while it comes. */
export interface AnswerStream {
  readonly filter: AnswerFilter
  readonly client: ClientPipe
  /** Its bytes mean nothing to the router, whatever their media type: any of them is content. */
  readonly isOpaque?: boolean
  /** Ends an answer of which a part has gone out, so that nobody takes it for complete. Called once, last. */
  breakOff(error: RouterError): void
}
