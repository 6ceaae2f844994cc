import type { Passage, PassageVerdict } from '../../processors/answers/windows.ts'
import type { Exchange } from '../../relay/exchange.ts'
import type { Processed } from '../../relay/processed.ts'
import { checkedVerdict } from '../../sdk/checks/processor.ts'
import type { ProcessorVerdict } from '../../sdk/processor.ts'
import type { OwnProcessor } from './compiled.ts'
import { BlockedError, inGroups, type ProcessorRuns, runConcurrently } from './runs.ts'

interface AnswerGuardOptions {
  readonly processors: readonly OwnProcessor[]
  readonly runs: ProcessorRuns
  readonly exchange: Exchange
  readonly model: string
  readonly client: string | undefined
  /** The last content of the request. */
  asked(): string
}

type Step = { -readonly [Key in keyof Processed]: Processed[Key] }

/** Outcomes of the windows of one response, in ascending precedence. */
const ranks: readonly Processed['outcome'][] = [
  'unchanged',
  'changed',
  'flagged',
  'failed_open',
  'failed_closed',
  'blocked',
]

/** Judges passages of one response. Each processor has one record for all of them. */
export class AnswerGuard {
  readonly #options: AnswerGuardOptions
  readonly #steps = new Map<string, Step>()

  constructor(options: AnswerGuardOptions) {
    this.#options = options
  }

  /** Throws the client's error for a processor that fails closed. */
  async judge(passages: readonly Passage[]): Promise<PassageVerdict> {
    let texts = passages.map(({ text }) => text)
    try {
      for (const group of inGroups(this.#options.processors)) {
        const judged = await runConcurrently(group, async (processor, others) =>
          processor.type === 'own' ? this.#judgeWith(processor, passages, texts, others) : texts,
        )
        texts = [...(judged.at(-1) ?? texts)]
      }
    } catch (error) {
      if (!(error instanceof BlockedError)) throw error
      return { type: 'block', by: error.processor }
    }
    return { type: 'pass', texts }
  }

  async #judgeWith(
    own: OwnProcessor,
    passages: readonly Passage[],
    texts: readonly string[],
    others: AbortSignal,
  ): Promise<readonly string[]> {
    const { runs, model, client, asked } = this.#options
    const startedAt = performance.now()
    const step = this.#stepOf(own.name)
    const record = (outcome: Processed['outcome']): void => {
      step.durationMs += performance.now() - startedAt
      if (ranks.indexOf(outcome) > ranks.indexOf(step.outcome)) step.outcome = outcome
    }
    try {
      const before = passages.map((passage) => passage.before)
      const verdict = await runs.inTime(
        own,
        async (signal): Promise<ProcessorVerdict> => {
          if (!own.processor.response) return { type: 'pass' }
          const answer = await own.processor.response(texts, {
            before,
            asked: asked(),
            model,
            client,
            signal,
          })
          return checkedVerdict(answer, texts.length)
        },
        others,
      )
      return this.#applyVerdict(own, texts, verdict, record)
    } catch (thrown) {
      if (thrown instanceof BlockedError) record('blocked')
      if (thrown instanceof BlockedError || others.aborted) throw thrown
      runs.failed(own, thrown, record, 'response')
      return texts
    }
  }

  #applyVerdict(
    { name }: OwnProcessor,
    texts: readonly string[],
    verdict: ProcessorVerdict,
    record: (outcome: Processed['outcome']) => void,
  ): readonly string[] {
    switch (verdict.type) {
      case 'pass':
        record('unchanged')
        return texts
      case 'flag':
        record('flagged')
        return texts
      case 'replace': {
        const changed = changedCount(verdict.contents, texts)
        this.#stepOf(name).values += changed
        record(changed > 0 ? 'changed' : 'unchanged')
        return verdict.contents
      }
      case 'block':
        throw new BlockedError(name)
    }
  }

  #stepOf(processor: string): Step {
    const known = this.#steps.get(processor)
    if (known) return known
    const step: Step = { processor, on: 'response', outcome: 'unchanged', durationMs: 0, values: 0 }
    this.#steps.set(processor, step)
    this.#options.runs.record(step)
    return step
  }
}

/** Number of contents that a processor changed. */
export function changedCount(contents: readonly string[], before: readonly string[]): number {
  return contents.filter((text, index) => text !== before[index]).length
}
