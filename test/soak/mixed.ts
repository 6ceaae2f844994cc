import { runHostile } from './hostile.ts'
import { soakOptions } from './options.ts'
import { runSteady } from './steady.ts'

/*
 * Two soaks, each for its share of the time: one whose router may not grow, and one in which servers, workers, files and some
 * clients do their worst beside good clients, of whom none may notice. Exit code 1 when either fails.
 *
 * `node test/soak/mixed.ts --minutes 2 --seed 7 --only hostile`; half an hour of both unless told otherwise.
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
// What a failed run left behind keeps nobody waiting.
process.exit()
