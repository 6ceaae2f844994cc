/**
 * Runs all tests, or the files that match the given patterns. A few processes take one file after the other, so that each loads
 * the router's sources once; files that measure memory or simulate failures have a process of their own. Prints a line for each
 * folder as its last file ends, and the failed tests at the end. Writes the reports to coverage/tests.txt.
 */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { globSync, mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { availableParallelism } from 'node:os'
import { join } from 'node:path'
import {
  type Counts,
  compileCache,
  nodeOptions,
  root,
  TestProcess,
  type TestResult,
  testTimeoutMs,
} from './test-process.ts'

/** Files that run one after the other in the same process. */
interface Unit {
  readonly folder: string
  readonly files: readonly string[]
}

/** The folder in which each file has its own process. */
const apart = 'test/faults'
/** Folders whose files run one after the other, because they share a browser, a build of the package, or files. */
const together = ['test/packaging', 'test/ui', 'test/docs']
/** Folders with long tests, the longest first, so that none of these runs alone at the end. */
const long = [
  'test/packaging',
  'test/ui',
  'test/teams',
  'test/cluster',
  'test/faults',
  'test/processors',
  'test/security',
  'test/engines',
  'test/console',
  'test/docs',
  'test/deploy',
  'test/stores',
  'test/retrieval',
  'test/cache',
]
const reports = join(root, 'coverage/tests')

rmSync(reports, { recursive: true, force: true })
mkdirSync(reports, { recursive: true })
const patterns = process.argv.slice(2)
const files = globSync(patterns.length > 0 ? patterns : 'test/**/*.test.ts', { cwd: root })
const waiting = unitsOf(files.toSorted())
const folders = new Map<string, { left: number; startedAt?: number }>()
for (const { folder } of waiting) folders.set(folder, { left: (folders.get(folder)?.left ?? 0) + 1 })
const results: TestResult[] = []
let processes = 0
await Promise.all([compileSources(...nodeOptions), compileSources('--expose-gc')])
// Tests wait about as long as they compute: one process more than there are processors keeps them busy.
await Promise.all(Array.from({ length: availableParallelism() + 1 }, runUnits))

writeFileSync(join(root, 'coverage/tests.txt'), results.map(({ report }) => report).join('\n'))
for (const { failed, report } of results) if (failed > 0) process.stdout.write(`\n${failuresIn(report)}\n`)
const sum = (key: keyof Counts): number => results.reduce((total, result) => total + result[key], 0)
process.stdout.write(`tests: ${sum('passed')} passed, ${sum('failed')} failed, ${sum('skipped')} skipped\n`)
process.exitCode = sum('failed') > 0 || sum('passed') === 0 ? 1 : 0

function unitsOf(all: readonly string[]): Unit[] {
  const units: Unit[] = []
  for (const [folder, files] of Map.groupBy(all, folderOf)) {
    if (together.includes(folder)) units.push({ folder, files })
    else units.push(...files.map((file) => ({ folder, files: [file] })))
  }
  return units.toSorted((a, b) => rank(a) - rank(b))
}

function rank({ folder }: Unit): number {
  const at = long.indexOf(folder)
  return at === -1 ? long.length : at
}

function folderOf(file: string): string {
  return file.split('/').slice(0, 2).join('/')
}

/**
 * Starts and stops a router, so that Node writes its compile cache: every later start then takes half the time. Most tests kill
 * their routers, and a killed process does not write the cache. Node has a separate cache for each set of V8 options.
 */
async function compileSources(...options: string[]): Promise<void> {
  const child = spawn(process.execPath, [...options, 'src/server.ts'], {
    cwd: root,
    stdio: ['ignore', 'pipe', 'ignore'],
    env: {
      PATH: process.env.PATH,
      ...compileCache,
      LLM_ROUTER_SERVER_PORT: '0',
      LLM_ROUTER_SERVER_HOST: '127.0.0.1',
      LLM_ROUTER_LOG_FILENAME: '',
      LLM_ROUTER_LOG_FORMAT: 'json',
    },
    timeout: testTimeoutMs,
  })
  child.stdout.on('data', (text) => {
    if (String(text).includes('"listening"')) child.kill('SIGTERM')
  })
  await once(child, 'close')
}

/** Runs units until none is left: all in the same process, except for those in `apart`. A process that has ended is replaced. */
async function runUnits(): Promise<void> {
  let shared: TestProcess | undefined
  for (let unit = waiting.shift(); unit !== undefined; unit = waiting.shift()) {
    const folder = folders.get(unit.folder) ?? { left: 1 }
    folder.startedAt ??= performance.now()
    if (unit.folder === apart) {
      const own = new TestProcess(join(reports, `${++processes}.txt`))
      await own.run(unit.files)
      results.push(await own.end())
    } else {
      if (shared?.hasEnded) {
        results.push(await shared.end())
        shared = undefined
      }
      shared ??= new TestProcess(join(reports, `${++processes}.txt`))
      await shared.run(unit.files)
    }
    folder.left--
    if (folder.left > 0) continue
    const seconds = ((performance.now() - folder.startedAt) / 1000).toFixed(0)
    process.stdout.write(`${unit.folder}: ended after ${seconds} s\n`)
  }
  if (shared) results.push(await shared.end())
}

/** The part of a report that describes failures, or its end if there are none. */
function failuresIn(report: string): string {
  const at = report.lastIndexOf('✖ failing tests:')
  return at === -1 ? report.slice(-4000) : report.slice(at)
}
