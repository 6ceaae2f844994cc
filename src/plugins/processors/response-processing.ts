import { parseCarried } from '../../lib/json/exact.ts'
import { isObject, type JsonObject } from '../../lib/json/read.ts'
import { applyEdits } from '../../lib/json/splice.ts'
import { movedBetween } from '../../processors/answers/citations.ts'
import type { CitedDocuments } from '../../processors/answers/cited-documents.ts'
import { type Restored, type RestoringOptions, restoredBody } from '../../processors/answers/restoring.ts'
import { chatChoices } from '../../processors/contents/chat-shape.ts'
import type { UnchangedText } from '../../processors/contents/unchanged-texts.ts'
import type { MaskingKey } from '../../processors/masking/key.ts'
import type { Pseudonyms } from '../../processors/masking/pseudonyms.ts'
import { Dictionary } from '../../processors/masking/restorer.ts'
import type { ChatResponse } from '../../sdk/chat.ts'
import type { AnswerContents } from '../../sdk/content.ts'
import { asRouterError } from '../../sdk/errors.ts'
import { AnswerGuard } from './answer-guard.ts'
import type { CompiledProcessor, MaskingProcessor, OwnProcessor } from './compiled.ts'
import type { GuardedOptions } from './guarded-client.ts'
import { judgedAnswer } from './judged-answer.ts'
import type { RequestOptions } from './request-options.ts'
import { type ProcessorRuns, problemOf, type RunContext } from './runs.ts'

export interface ProcessingContext extends RunContext {
  readonly processors: readonly CompiledProcessor[]
  readonly key: MaskingKey
  readonly model: string
  readonly client: string | undefined
  /** Headers of the client that its upstream gets. */
  readonly headers: readonly UnchangedText[]
}

/** Before or after values are restored in a response. */
export type AnswerStage = 'early' | 'late'

/** What processors do with the response to one request. */
export class ResponseProcessing {
  readonly #context: ProcessingContext
  readonly #runs: ProcessorRuns
  readonly #masking: MaskingProcessor | undefined
  readonly #guards: Readonly<Record<AnswerStage, AnswerGuard | undefined>>
  /** Replaced texts. */
  readonly #replaced: Readonly<Record<AnswerStage, Map<string, string>>> = {
    early: new Map(),
    late: new Map(),
  }
  readonly #judging = new Set<AnswerStage>()
  #lastContent = { sent: '', upstream: '' }
  #documents: CitedDocuments | undefined
  #isStructured = false
  #wantsLogprobs = false
  #blocked: { stage: AnswerStage; answer: JsonObject } | undefined
  protected pseudonyms: Pseudonyms | undefined

  constructor(context: ProcessingContext, runs: ProcessorRuns) {
    this.#context = context
    this.#runs = runs
    this.#masking = context.processors.find((each) => each.type === 'masking')
    this.#guards = { early: this.#guard('early'), late: this.#guard('late') }
  }

  /** Whether values are restored in responses. */
  get restores(): boolean {
    return this.#masking?.plan.restores === true && this.pseudonyms !== undefined && this.pseudonyms.size > 0
  }

  get masks(): boolean {
    return this.#masking !== undefined
  }

  /** Whether answers pass through processors. */
  get readsResponses(): boolean {
    return this.masks || this.#guards.early !== undefined || this.#guards.late !== undefined
  }

  /** Judges responses; undefined if none does at this stage. */
  guardOptions(stage: AnswerStage): Omit<GuardedOptions, 'form'> | undefined {
    const guard = this.#guards[stage]
    if (!guard) return undefined
    const { exchange } = this.#context
    return {
      guard,
      isStructured: this.#isStructured,
      judging: (isRunning) => {
        if (isRunning) this.#judging.add(stage)
        else this.#judging.delete(stage)
      },
      replaced: (raw, shown) => this.#replaced[stage].set(raw, shown),
      removedOffsets: (citations) => this.countRestored({ values: 0, unknown: 0, removedOffsets: citations }),
      blocked: ({ last = {}, cutBytes }) => {
        this.#blocked = { stage, answer: isObject(last.response) ? last.response : last }
        if (cutBytes !== undefined && exchange.processed) exchange.processed.cutBytes = cutBytes
      },
      failed: (error) => {
        exchange.error = error
      },
    }
  }

  /** A whole response with restored values. */
  restoreBody(body: Buffer, { citations }: Pick<AnswerContents, 'citations'>): Buffer {
    if (!this.masks) return body
    const { body: restored, done } = restoredBody(body, this.restoringOptions(), citations)
    this.countRestored(done)
    if (done.removedLogprobs) this.#dropLogprobs()
    return restored
  }

  /** The response as sent to the client, derived from the generated one. */
  responseForClient(written: JsonObject, contents: Pick<AnswerContents, 'citations'>): JsonObject {
    const { early, late } = this.#replaced
    if (this.#blocked?.stage === 'late') return this.#blocked.answer
    const upstream = this.#blocked?.answer ?? withTexts(written, early, contents)
    const restored = this.#restoredObject(upstream, contents)
    return this.#blocked ? restored : withTexts(restored, late, contents)
  }

  #restoredObject(answer: JsonObject, { citations }: Pick<AnswerContents, 'citations'>): JsonObject {
    if (!this.restores) return answer
    const { body } = restoredBody(Buffer.from(JSON.stringify(answer)), this.restoringOptions(), citations)
    return parseCarried(body.toString()) as JsonObject
  }

  /** A parsed response, judged and with restored values. Throws the client's error. */
  async processResponse(response: ChatResponse): Promise<ChatResponse> {
    if (!this.readsResponses) return response
    const { choices } = response
    const answered = await this.processResponseBody(Buffer.from(JSON.stringify({ choices })), chatChoices)
    return { ...response, ...JSON.parse(answered.toString()) }
  }

  /** The body of a whole response, judged and with restored values. `contents` locates its texts. */
  async processResponseBody(body: Buffer, contents: AnswerContents): Promise<Buffer> {
    const early = await this.#judge('early', body, contents)
    return this.#judge('late', this.restores ? this.restoreBody(early, contents) : early, contents)
  }

  /** Whether texts of the response may still be blocked. */
  get isJudging(): boolean {
    return this.#judging.size > 0
  }

  /** Whether a guardrail has blocked the response. */
  get isBlocked(): boolean {
    return this.#blocked !== undefined
  }

  restoringOptions(): RestoringOptions {
    const entries = this.#masking?.plan.restores ? (this.pseudonyms?.entries() ?? []) : []
    return {
      dictionary: new Dictionary(entries),
      isStructured: this.#isStructured,
      removesLogprobs: this.restores,
      sealProof: this.#context.key.sealProof,
      documentOf: (index) => this.#documents?.textOf(index, this.pseudonyms),
    }
  }

  countRestored({ values, unknown, removedOffsets }: Omit<Restored, 'removedLogprobs'>): void {
    if (values === 0 && unknown === 0 && removedOffsets === 0) return
    const { exchange } = this.#context
    exchange.processed ??= { steps: [], restored: 0, unknown: 0 }
    exchange.processed.restored += values
    exchange.processed.unknown += unknown
    if (removedOffsets > 0)
      exchange.processed.removedOffsets = (exchange.processed.removedOffsets ?? 0) + removedOffsets
  }

  /** Call before the headers of a response are sent. */
  beforeHeaders(): void {
    if (this.#wantsLogprobs && this.restores) this.#dropLogprobs()
  }

  /** The response cannot be processed, so it cannot be sent. */
  abortResponse(thrown: unknown): void {
    const { exchange, warn } = this.#context
    exchange.markTruncated(asRouterError(thrown))
    warn(problemOf(thrown), 'processor failed; the response ends with an error')
  }

  /** The last content of the request, as sent by the client and as sent upstream. */
  protected setLastContent(content: { sent: string; upstream: string }): void {
    this.#lastContent = content
  }

  /** The documents of the request, to which citations refer. */
  protected setDocuments(documents: CitedDocuments): void {
    this.#documents = documents
  }

  protected applyOptions({ isStructured, logprobs }: RequestOptions): void {
    this.#isStructured ||= isStructured
    this.#wantsLogprobs ||= logprobs
  }

  #guard(stage: AnswerStage): AnswerGuard | undefined {
    const { exchange, model, client, processors } = this.#context
    const own = processors.filter(
      (each): each is OwnProcessor =>
        each.type === 'own' && each.processor.response !== undefined && each.answerStage === stage,
    )
    if (own.length === 0) return undefined
    const asked = (): string => (stage === 'early' ? this.#lastContent.upstream : this.#lastContent.sent)
    return new AnswerGuard({ processors: own, runs: this.#runs, exchange, model, client, asked })
  }

  async #judge(stage: AnswerStage, answer: Buffer, contents: AnswerContents): Promise<Buffer> {
    const options = this.guardOptions(stage)
    return options && !this.isBlocked ? judgedAnswer(answer, contents, options) : answer
  }

  #dropLogprobs(): void {
    this.#context.exchange.drop(
      'logprobs',
      'the tokens of masked answers are not those that the client reads',
    )
  }
}

/** The object with some of its strings replaced, and offsets of citations adjusted. */
function withTexts(
  answer: JsonObject,
  texts: ReadonlyMap<string, string>,
  { citations }: Pick<AnswerContents, 'citations'>,
): JsonObject {
  if (texts.size === 0) return answer
  const before = Buffer.from(JSON.stringify(answer))
  const replaced = JSON.stringify(answer, (_key, value: unknown) =>
    typeof value === 'string' ? (texts.get(value) ?? value) : value,
  )
  const after = Buffer.from(replaced)
  const { edits } = movedBetween(before, after, citations)
  return parseCarried(applyEdits(after, edits).toString()) as JsonObject
}
