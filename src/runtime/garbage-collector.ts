import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'

/** Collects the young generation (`minor`), which is short, or the whole heap; blocks the process meanwhile. */
export type CollectGarbage = (type: 'minor' | 'major') => void

/** `gc` is available only through a flag: https://nodejs.org/api/cli.html#--expose-gc */
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
