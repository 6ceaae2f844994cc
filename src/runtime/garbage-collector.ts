/**
 * Collects the young generation, which takes about a millisecond, or the whole heap; blocks the process meanwhile. Requires
 * `--expose-gc` (https://nodejs.org/api/cli.html#--expose-gc), which all start scripts pass; otherwise does nothing.
 */
export function collectGarbage(type: 'minor' | 'major'): void {
  void globalThis.gc?.({ type, execution: 'sync' })
}

export function canCollectGarbage(): boolean {
  return globalThis.gc !== undefined
}

/** Response bytes after which the young generation is collected. */
const maxUncollectedBytes = 32 * 1024 * 1024

/**
 * Returns a function to call with the size of each response chunk, which collects the young generation after a number of bytes.
 * V8 only collects it when new objects fill it, and large chunks create few objects: their buffers would stay until a
 * collection of the whole heap, which costs fifty times as much and comes much later.
 *
 * Request bodies do not count: they are in use until the response arrives, and early collections would promote them to the old
 * generation, which makes collections of the whole heap longer.
 */
export function collectAfterBytes(): (bytes: number) => void {
  let uncollected = 0
  return (bytes) => {
    uncollected += bytes
    if (uncollected < maxUncollectedBytes) return
    uncollected = 0
    collectGarbage('minor')
  }
}
