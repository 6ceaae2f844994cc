import { plainRequest, simulatedTarget } from '../../bench/strategies/simulated-server.ts'
import type { SharingInstance, TargetSignals } from '../../src/sdk/strategy.ts'

export type Signals = { -readonly [Key in keyof TargetSignals]: TargetSignals[Key] }

/** What a balancer knows of a target, as set by the test. */
export function signalsOf(id: string, weight = 1, known: Partial<Omit<Signals, 'target'>> = {}): Signals {
  return {
    target: simulatedTarget(id, weight),
    uses: 0,
    inFlight: 0,
    firstContentMs: undefined,
    perTokenMs: undefined,
    failureRate: 0,
    returnedAt: 0,
    ...known,
  }
}

/** The ids of this many picks, none of them settled; `inFlight` is left to the test. */
export function picks(
  instance: SharingInstance,
  candidates: readonly TargetSignals[],
  count: number,
): string[] {
  return Array.from({ length: count }, () => instance.pick(candidates, plainRequest()).target.id)
}

export function countOf<T>(items: readonly T[], wanted: T): number {
  return items.filter((item) => item === wanted).length
}

/** For strategies that must not read the clock; they start at the first target of the file. */
export const noContext = {
  now: (): number => {
    throw new Error('asked for the time')
  },
  random: (): number => 0,
}
