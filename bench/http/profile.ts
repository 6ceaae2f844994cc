import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { benchCases } from './cases.ts'
import { startStage } from './stage.ts'

/**
 * `npm run bench:profile -- json 1 kb` plays one case on the router under `--cpu-prof` and prints where its time went:
 * by file, and by function. Time of functions that they spent themselves, not in what they called.
 */
interface Profile {
  nodes: { id: number; callFrame: { functionName: string; url: string; lineNumber: number } }[]
  samples: number[]
  timeDeltas: number[]
}

const loadMs = 6_000
const shownFunctions = 40

const words = process.argv.slice(2).join(' ').toLowerCase()
const benchCase = benchCases.find(({ name }) => name.toLowerCase().includes(words))
if (!benchCase) throw new Error(`no case "${words}"; known: ${benchCases.map(({ name }) => name).join('; ')}`)

const folder = mkdtempSync(join(tmpdir(), 'llm-router-profile-'))
try {
  const stage = await startStage(['--cpu-prof', `--cpu-prof-dir=${folder}`])
  await stage.load(stage.router, benchCase, loadMs)
  await stage.close()
  const [file = ''] = readdirSync(folder)
  const profile: Profile = JSON.parse(readFileSync(join(folder, file), 'utf8'))
  console.log(benchCase.name)
  for (const by of ['file', 'function'] as const) console.log(`\nby ${by}\n${shares(profile, by).join('\n')}`)
} finally {
  rmSync(folder, { recursive: true })
}

function shares({ nodes, samples, timeDeltas }: Profile, by: 'file' | 'function'): string[] {
  const places = new Map(nodes.map(({ id, callFrame }) => [id, placeOf(callFrame, by)]))
  const times = new Map<string, number>()
  let busy = 0
  for (const [index, id] of samples.entries()) {
    const place = places.get(id) ?? ''
    const time = timeDeltas[index] ?? 0
    // Waiting, and the start of the process, are no part of the load.
    if (place.startsWith('(idle)') || place.startsWith('(program)')) continue
    busy += time
    times.set(place, (times.get(place) ?? 0) + time)
  }
  return [...times]
    .sort(([, a], [, b]) => b - a)
    .slice(0, shownFunctions)
    .map(([place, time]) => `${((100 * time) / busy).toFixed(1).padStart(5)} %  ${place}`)
}

function placeOf(
  { functionName, url, lineNumber }: Profile['nodes'][number]['callFrame'],
  by: 'file' | 'function',
): string {
  const file = url.replace(/^.*\/(node_modules|src)\//, '$1/')
  if (by === 'file') return file || functionName
  return `${functionName || '(anonymous)'} ${file}${file === '' ? '' : `:${lineNumber + 1}`}`
}
