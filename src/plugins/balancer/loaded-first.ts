import { isLoaded } from '../../fleet/signals/engine-facts.ts'
import type { LiveSignals } from './live-signals.ts'

/** Until loads have been seen: what a model of some gigabytes takes from a disk. */
const typicalLoadMs = 10_000
/** Until answers have been seen. */
const typicalAnswerMs = 2_000
/** As for the prediction of `adaptive`. */
const typicalTokens = 200

/**
 * Of the targets that a strategy may pick, those where a request is answered soonest: the ones that have the model loaded, unless a
 * request waits longer there than another target takes to load it. Returns lists of equal members as one list, because strategies
 * cache per list.
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

/** In the same order, but loaded targets first. The same list if none is cold. */
export function loadedFirst<Signals extends { target: unknown }>(
  ordered: readonly Signals[],
  isCold: (signals: Signals) => boolean,
): readonly Signals[] {
  if (!ordered.some(isCold)) return ordered
  return [...ordered.filter((each) => !isCold(each)), ...ordered.filter(isCold)]
}

/** Whether the engine would have to load the model first. */
export function isCold({ target, engine, hasAnswered }: LiveSignals): boolean {
  // An answer since the last poll says more than the poll.
  return target.type.loadsOnDemand === true && !hasAnswered && isLoaded(target, engine) === false
}

/** How long a further request would wait, in milliseconds. Engines that tell no number run one request at a time. */
function waitOf({ inFlight, engine, firstContentMs, perTokenMs }: LiveSignals): number {
  const places = engine?.slots ?? engine?.maxRunning ?? 1
  const before = Math.max(0, inFlight + (engine?.others ?? 0) + 1 - places)
  const answerMs =
    firstContentMs === undefined ? typicalAnswerMs : firstContentMs + (perTokenMs ?? 0) * typicalTokens
  return (before / places) * answerMs
}
