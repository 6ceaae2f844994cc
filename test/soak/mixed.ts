import { runHostile } from './hostile.ts'
import { soakOptions } from './options.ts'
import { runSteady } from './steady.ts'

/*
 * Two soak tests, each for its share of the time: one whose router may not grow, and one in which servers,
 * workers, files and some clients misbehave beside good clients, none of which may be affected. Exit code 1 if
 * either fails.
 *
 * `node test/soak/mixed.ts --minutes 2 --seed 7 --only hostile`; by default both, for half an hour.
 */

const options = soakOptions(process.argv.slice(2), process.env)
console.log(`seed ${options.seed}, ${options.minutes} minutes: ${options.runs.join(', ')}`)
const share = { minutes: options.minutes / options.runs.length, seed: options.seed }
for (const run of options.runs) {
  try {
    if (run === 'steady') await runSteady(share)
    else await runHostile(share)
    console.log(`${run}: passed`)
  } catch (error) {
    process.exitCode = 1
    console.log(`${run}: FAILED: ${error instanceof Error ? error.message : String(error)}`)
  }
}
console.log(process.exitCode === 1 ? 'verdict: FAILED' : 'verdict: passed')
// Leftovers of a failed run do not keep the process alive.
process.exit()
