import { isLoaded } from '../../fleet/signals/engine-facts.ts'
import type { LiveSignals } from './live-signals.ts'

/** Default before any load was measured: a model of a few gigabytes from disk. */
const typicalLoadMs = 10_000
/** Default before any response was measured. */
const typicalAnswerMs = 2_000
/** Default length of a response; equal to the one that `adaptive` predicts with. */
const typicalTokens = 200

/**
 * Restricts a strategy to the targets that answer soonest: those that have the model loaded, unless a
 * request waits longer there than another target takes to load it. Equal lists are returned as the same object, because
 * strategies cache per list.
 */
export class LoadedFirst {
  #all: readonly LiveSignals[] = []
  #loaded: readonly LiveSignals[] = []

  soonest(all: readonly LiveSignals[]): readonly LiveSignals[] {
    if (!all.some(isCold)) return all
    const loaded = all.filter((each) => !isCold(each))
    const hasWeight = ({ target, weight }: LiveSignals): boolean => (weight ?? target.weight) > 0
    if (loaded.length === 0 || (!loaded.some(hasWeight) && all.some(hasWeight))) return all
    const waitMs = Math.min(...loaded.map(waitOf))
    const loadMs = Math.min(...all.filter(isCold).map((each) => each.loadMs ?? typicalLoadMs))
    if (waitMs > loadMs) return all
    const isSame =
      all === this.#all &&
      loaded.length === this.#loaded.length &&
      loaded.every((each, index) => each === this.#loaded[index])
    if (!isSame) this.#loaded = loaded
    this.#all = all
    return this.#loaded
  }
}

/** Puts loaded targets first and otherwise keeps the order. Returns the same list if none is cold. */
export function loadedFirst<Signals extends { target: unknown }>(
  ordered: readonly Signals[],
  isCold: (signals: Signals) => boolean,
): readonly Signals[] {
  if (!ordered.some(isCold)) return ordered
  return [...ordered.filter((each) => !isCold(each)), ...ordered.filter(isCold)]
}

/** Whether the engine would have to load the model first. */
export function isCold({ target, engine, hasAnswered }: LiveSignals): boolean {
  // A response since the last poll is more recent than the poll.
  return target.type.loadsOnDemand === true && !hasAnswered && isLoaded(target, engine) === false
}

/**
 * Expected wait of another request, in milliseconds. Engines that report no concurrency are assumed to run one request at a time.
 */
function waitOf({ inFlight, engine, firstContentMs, perTokenMs }: LiveSignals): number {
  const slots = engine?.slots ?? engine?.maxRunning ?? 1
  const before = Math.max(0, inFlight + (engine?.others ?? 0) + 1 - slots)
  const answerMs =
    firstContentMs === undefined ? typicalAnswerMs : firstContentMs + (perTokenMs ?? 0) * typicalTokens
  return (before / slots) * answerMs
}
