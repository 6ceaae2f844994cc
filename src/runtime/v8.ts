import { getHeapStatistics, setFlagsFromString } from 'node:v8'

/** What V8 is told at the start; docs/performance.md has what each is worth. */
const always = [
  // V8 puts objects that live as long as requests do into the old part of its heap, once enough of them outlived a
  // collection while the process was busy. From there each of them keeps all that it knows of from being collected.
  '--no-allocation-site-pretenuring',
  // When a whole collection meets no request, nothing has the hidden classes of a request's objects, and they would be
  // collected too, with all compiled code that relies on them. As many collections as this may pass before.
  '--retain-maps-for-n-gc=1000000',
]

/** Where there is little memory, the choice stays V8's. */
const withEnoughMemory = [
  // How much more than what is alive the old part of the heap may hold before all of it is collected, in percent. V8's
  // own choice is less than 100 for a heap of this size: a body of 1 MB then costs more in collections than in all else.
  '--heap-growing-percent=300',
  // The bytes of bodies count like the rest of the heap. Else every 64 MB of them have all of it collected.
  '--external-memory-accounted-in-global-limit',
  // The collection some seconds after the last request is a usual one: one that is to save memory would not retain the
  // hidden classes.
  '--no-memory-reducer-favors-memory',
]
const enoughHeapBytes = 512 * 1024 * 1024

export function setV8Flags(): void {
  for (const flag of always) setFlagsFromString(flag)
  if (getHeapStatistics().heap_size_limit < enoughHeapBytes) return
  for (const flag of withEnoughMemory) setFlagsFromString(flag)
}
