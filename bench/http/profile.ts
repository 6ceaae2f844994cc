import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { benchCases } from './cases.ts'
import { type Profile, selfTimes, totalTimes } from './profile-times.ts'
import { startStage } from './stage.ts'

/**
 * `npm run bench:profile -- json, 1 kb` runs one case on the router under `--cpu-prof` and prints where its time is spent, in
 * microseconds per request: functions by their own time, and the router's functions by their total time.
 */
const warmUpMs = 8_000
const loadMs = 8_000
const shown = 30

const words = process.argv.slice(2).join(' ').toLowerCase()
const benchCase = benchCases.find(({ name }) => name.toLowerCase().includes(words))
if (!benchCase) throw new Error(`no case "${words}"; known: ${benchCases.map(({ name }) => name).join('; ')}`)

const folder = mkdtempSync(join(tmpdir(), 'llm-router-profile-'))
try {
  const stage = await startStage(['--cpu-prof', `--cpu-prof-dir=${folder}`])
  await stage.load(stage.router, benchCase, warmUpMs)
  const { requests, seconds } = await stage.load(stage.router, benchCase, loadMs)
  await stage.close()
  const [file = ''] = readdirSync(folder)
  const profile: Profile = JSON.parse(readFileSync(join(folder, file), 'utf8'))
  console.log(`${benchCase.name}: ${requests} requests, ${(requests / seconds).toFixed(0)} per second`)
  const options = { lastSeconds: seconds, requests }
  print('by file, own time', selfTimes(profile, 'file', options))
  print('by function, own time', selfTimes(profile, 'function', options))
  const ours = selfTimes(profile, 'function', options).filter(([location]) => location.includes(' src/'))
  print('our functions, own time', ours)
  print('our functions, with what they called', totalTimes(profile, options))
} finally {
  rmSync(folder, { recursive: true })
}

function print(title: string, times: readonly [location: string, us: number][]): void {
  console.log(`\n${title}`)
  for (const [location, us] of times.slice(0, shown)) console.log(`${us.toFixed(1).padStart(8)}  ${location}`)
}
