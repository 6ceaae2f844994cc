import { garbageCollector } from './garbage-collector.ts'

/** Maximum uncollected bytes. */
const maxLeftBytes = 32 * 1024 * 1024

/**
 * Returns a function to call with the size of each response chunk. After every `maxLeftBytes`, it collects the young
 * generation. V8 collects it when new objects fill it, but data passed through in large chunks creates few objects: its
 * buffers would stay until a collection of the whole heap, which costs fifty times as much and comes only when there
 * are several times as many.
 *
 * Request bodies do not count. They are in use until the response arrives. What survives two young collections is left
 * for the collection of the whole heap, which blocks the event loop for longer the more of it there is.
 */
export function passedBytes(): (bytes: number) => void {
  const collect = garbageCollector()
  let left = 0
  return (bytes) => {
    left += bytes
    if (left < maxLeftBytes) return
    left = 0
    collect('minor')
  }
}
