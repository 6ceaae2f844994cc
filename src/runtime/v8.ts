import { getHeapStatistics, setFlagsFromString } from 'node:v8'

/** V8 flags set at start; docs/decisions/0007-v8-settings.md lists the effect of each. */
const always = [
  // V8 allocates objects that live as long as requests directly in the old generation once enough of them have survived
  // a collection under load. There, each one keeps everything it references from being collected.
  '--no-allocation-site-pretenuring',
  // If a major collection runs while no request is in progress, nothing references the hidden classes of a request's
  // objects. They would be collected too, together with all optimized code that depends on them. This many collections
  // may pass first.
  '--retain-maps-for-n-gc=1000000',
]

/** With little memory, V8's own choices stay. */
const withEnoughMemory = [
  // Growth of the old generation over the live objects before the next major collection, in percent. V8's own value is
  // below 100 for a heap of this size: a body of 1 MB would then cost more in collections than in everything else.
  '--heap-growing-percent=300',
  // Counts the bytes of bodies like the rest of the heap. Otherwise every 64 MB of them trigger a major collection.
  '--external-memory-accounted-in-global-limit',
  // Makes the collection some seconds after the last request a regular one: a collection that favours memory would not
  // retain the hidden classes.
  '--no-memory-reducer-favors-memory',
]
const enoughHeapBytes = 512 * 1024 * 1024

export function setV8Flags(): void {
  for (const flag of always) setFlagsFromString(flag)
  if (getHeapStatistics().heap_size_limit < enoughHeapBytes) return
  for (const flag of withEnoughMemory) setFlagsFromString(flag)
}
