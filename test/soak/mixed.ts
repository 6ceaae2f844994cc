import { runHostile } from './hostile.ts'
import { type SoakRun, soakOptions } from './options.ts'
import { runRawHttp } from './raw-http.ts'
import { runSteady } from './steady.ts'

/*
 * Three soak tests, each for its share of the time: one whose router may not grow, one in which servers, workers,
 * files and some clients misbehave beside good clients, none of which may be affected, and one whose clients send
 * invalid HTTP and leave in every way. Exit code 1 if one fails.
 *
 * `node test/soak/mixed.ts --minutes 2 --seed 7 --only hostile`; by default both, for half an hour.
 */

const soaks: Record<SoakRun, (share: { minutes: number; seed: number }) => Promise<void>> = {
  steady: runSteady,
  hostile: runHostile,
  'raw-http': runRawHttp,
}
const options = soakOptions(process.argv.slice(2), process.env)
console.log(`seed ${options.seed}, ${options.minutes} minutes: ${options.runs.join(', ')}`)
const share = { minutes: options.minutes / options.runs.length, seed: options.seed }
for (const run of options.runs) {
  try {
    await soaks[run](share)
    console.log(`${run}: passed`)
  } catch (error) {
    process.exitCode = 1
    console.log(`${run}: FAILED: ${error instanceof Error ? error.message : String(error)}`)
  }
}
console.log(process.exitCode === 1 ? 'verdict: FAILED' : 'verdict: passed')
// Leftovers of a failed run do not keep the process alive.
process.exit()
