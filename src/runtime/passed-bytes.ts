import { garbageCollector } from './garbage-collector.ts'

/** So much may lie about, in bytes. */
const maxLeftBytes = 32 * 1024 * 1024

/**
 * To be told of bytes of answers as they come: after so many of them, young garbage is collected. V8 collects it when new
 * objects fill their room, and what goes through in large pieces makes few of them: its buffers would be left until all of the
 * heap is collected, which costs fifty times as much and comes only when there are several times as many.
 *
 * Bodies of requests do not count. They are in use until the answer comes; what outlives two collections of the young is left
 * for the collection of all, and that holds up the event loop for longer the more of it there is.
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
