import { getHeapStatistics, setFlagsFromString } from 'node:v8'

/** V8 flags set at startup; docs/decisions/0007-v8-settings.md lists the effect of each. */
const always = [
  // Under load, V8 learns to allocate objects that live as long as a request directly in the old generation, where each one
  // keeps everything it references from being collected.
  '--no-allocation-site-pretenuring',
  // A major collection while no request is in progress would also collect the hidden classes of requests' objects, together
  // with all optimized code that depends on them. Keeps them for this many collections.
  '--retain-maps-for-n-gc=1000000',
]

/** With little memory, V8's defaults are kept. */
const withEnoughMemory = [
  // Growth of the old generation relative to live objects before the next major collection, in percent. With V8's default,
  // below 100 for a heap of this size, a body of 1 MB costs more in collections than in everything else.
  '--heap-growing-percent=300',
  // Counts the bytes of buffers like the rest of the heap. Otherwise every 64 MB of them trigger a major collection.
  '--external-memory-accounted-in-global-limit',
  // Makes the collection a few seconds after the last request a regular one: one that favours memory does not keep hidden
  // classes.
  '--no-memory-reducer-favors-memory',
]
const enoughHeapBytes = 512 * 1024 * 1024

export function setV8Flags(): void {
  for (const flag of always) setFlagsFromString(flag)
  if (getHeapStatistics().heap_size_limit < enoughHeapBytes) return
  for (const flag of withEnoughMemory) setFlagsFromString(flag)
}
