import { askEngine, type EngineAnswer, type EngineRequestOptions } from '../../relay/upstream/ask-engine.ts'
import { isLoadingAnswer } from '../../relay/upstream/upstream-answer.ts'
import type { EngineKind, EngineSignals } from '../../sdk/engine-signals.ts'
import type { Target } from '../../sdk/target.ts'
import { type EngineRequest, engineRequests } from './engine-requests.ts'

/** Delay before an unsupported request is repeated, in milliseconds: the engine may have been restarted. */
const unsupportedMs = 60_000

/** Polls one engine, and remembers which requests it does not support. */
export class EnginePoll {
  readonly #unsupportedUntil = new Map<EngineRequest, number>()
  readonly #now: () => number

  /** `now`: monotonic milliseconds. */
  constructor(now: () => number) {
    this.#now = now
  }

  /** Undefined if nothing is known. Never rejects. */
  async run(
    target: Target,
    kind: EngineKind,
    options: EngineRequestOptions,
  ): Promise<EngineSignals | undefined> {
    const questions = engineRequests[kind].filter(
      (each) => (this.#unsupportedUntil.get(each) ?? 0) <= this.#now(),
    )
    const root = target.rootPath ?? ''
    const answers = await Promise.all(
      questions.map((question) => askEngine(target, { path: root + question.path }, options)),
    )
    if (answers.length > 0 && answers.every(({ refused }) => refused)) {
      // Another server may be listening there the next time it accepts connections.
      this.#unsupportedUntil.clear()
      return { state: 'down' }
    }
    if (answers.some(({ status, text }) => isLoadingAnswer(status ?? 0, text ?? '')))
      return { state: 'loading' }
    return merged(questions.map((question, index) => this.#read(question, answers[index])))
  }

  #read(question: EngineRequest, answer: EngineAnswer | undefined): EngineSignals | undefined {
    const { status, text } = answer ?? {}
    if (status === undefined) return undefined
    if (status === 200 && text !== undefined) {
      const signals = question.read(text)
      if (signals) return signals
    }
    // llama.cpp returns 501 for endpoints that were not enabled at startup.
    if (status < 500 || status === 501) this.#unsupportedUntil.set(question, this.#now() + unsupportedMs)
    return undefined
  }
}

/** Earlier results take precedence. */
function merged(all: readonly (EngineSignals | undefined)[]): EngineSignals | undefined {
  const known = all.filter((each) => each !== undefined)
  if (known.length === 0) return undefined
  const together: EngineSignals = Object.assign({}, ...known.toReversed())
  if (!known.some(({ state }) => state === 'asleep')) return together
  const { loaded: _offloaded, ...rest } = together
  return { ...rest, state: 'asleep' }
}
