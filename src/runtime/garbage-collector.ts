/**
 * Collects the young generation, which takes about a millisecond, or the whole heap; the process is blocked meanwhile. Node
 * allows it with `--expose-gc` only (https://nodejs.org/api/cli.html#--expose-gc), which all ways to start the router pass;
 * without it nothing happens.
 */
export function collectGarbage(type: 'minor' | 'major'): void {
  void globalThis.gc?.({ type, execution: 'sync' })
}

export function canCollectGarbage(): boolean {
  return globalThis.gc !== undefined
}

/** Uncollected bytes of answers, at most. */
const maxLeftBytes = 32 * 1024 * 1024

/**
 * Called with the size of each response chunk: collects the young generation after a number of bytes. V8 collects it when new
 * objects fill it, and large chunks make few objects: their buffers would be left until the whole heap is collected, which
 * costs fifty times as much and happens only when there are several times as many.
 *
 * Bodies of requests do not count. They are in use until the answer arrives; what survives two young collections is left for
 * the collection of the whole heap, which blocks the event loop for longer the more of it there is.
 */
export function collectAfterBytes(): (bytes: number) => void {
  let left = 0
  return (bytes) => {
    left += bytes
    if (left < maxLeftBytes) return
    left = 0
    collectGarbage('minor')
  }
}
