import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'

/** Collects the young garbage, which is soon done, or all of it; the process stands still meanwhile. */
export type CollectGarbage = (type: 'minor' | 'major') => void

/** A flag brings it, and there is no other way to it: https://nodejs.org/api/cli.html#--expose-gc */
export function garbageCollector(): CollectGarbage {
  let gc: unknown
  return (type) => {
    if (gc === undefined) {
      setFlagsFromString('--expose-gc')
      gc = runInNewContext('gc')
    }
    if (typeof gc === 'function') gc({ type })
  }
}
