import { askEngine, type EngineAnswer, type EngineAsking } from '../../relay/upstream/ask-engine.ts'
import { isLoadingAnswer } from '../../relay/upstream/upstream-answer.ts'
import type { EngineKind, EngineSignals } from '../../sdk/engine-signals.ts'
import type { Target } from '../../sdk/target.ts'
import { type EngineQuestion, engineQuestions } from './engine-questions.ts'

/** A question that the engine does not know is asked again after this, in milliseconds: it may have been restarted. */
const unknownMs = 60_000

/** Asks one engine again and again, and remembers which of its questions it does not answer. */
export class EnginePoll {
  readonly #unknownUntil = new Map<EngineQuestion, number>()
  readonly #now: () => number

  /** `now`: monotonic milliseconds. */
  constructor(now: () => number) {
    this.#now = now
  }

  /** Undefined: nothing is known now. Never rejects. */
  async ask(target: Target, kind: EngineKind, asking: EngineAsking): Promise<EngineSignals | undefined> {
    const questions = engineQuestions[kind].filter(
      (each) => (this.#unknownUntil.get(each) ?? 0) <= this.#now(),
    )
    const root = target.rootPath ?? ''
    const answers = await Promise.all(
      questions.map((question) => askEngine(target, { path: root + question.path }, asking)),
    )
    if (answers.length > 0 && answers.every(({ refused }) => refused)) {
      // Another server may listen when it accepts connections again.
      this.#unknownUntil.clear()
      return { state: 'down' }
    }
    if (answers.some(({ status, text }) => isLoadingAnswer(status ?? 0, text ?? '')))
      return { state: 'loading' }
    return merged(questions.map((question, index) => this.#read(question, answers[index])))
  }

  #read(question: EngineQuestion, answer: EngineAnswer | undefined): EngineSignals | undefined {
    const { status, text } = answer ?? {}
    if (status === undefined) return undefined
    if (status === 200 && text !== undefined) {
      const signals = question.read(text)
      if (signals) return signals
    }
    // llama.cpp answers 501 for what was not turned on at its start.
    if (status < 500 || status === 501) this.#unknownUntil.set(question, this.#now() + unknownMs)
    return undefined
  }
}

/** An earlier answer counts more. */
function merged(all: readonly (EngineSignals | undefined)[]): EngineSignals | undefined {
  const known = all.filter((each) => each !== undefined)
  if (known.length === 0) return undefined
  const together: EngineSignals = Object.assign({}, ...known.toReversed())
  if (!known.some(({ state }) => state === 'asleep')) return together
  const { loaded: _offloaded, ...rest } = together
  return { ...rest, state: 'asleep' }
}
