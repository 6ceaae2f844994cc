/**
 * Milliseconds, with fractions, of a clock that all processes of a machine share and nobody sets: `process.hrtime` is
 * CLOCK_MONOTONIC on Linux. `performance.now()` starts from zero in each process, and the time of day may be adjusted.
 */
export function machineMs(): number {
  const [seconds, nanoseconds] = process.hrtime()
  return seconds * 1000 + nanoseconds / 1e6
}
