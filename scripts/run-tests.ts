/**
 * Runs all tests, or the files that match the given patterns. Files share a process, which loads the router's sources once;
 * files that measure memory or simulate failures have their own. Prints a line for each process as it ends, with its failed
 * tests. Writes the reports to coverage/tests.txt.
 */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createWriteStream, globSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { availableParallelism } from 'node:os'
import { join } from 'node:path'
import { stripVTControlCharacters } from 'node:util'

interface Group {
  /** The folders of its files; the file itself if it has its own process. */
  readonly name: string
  readonly files: readonly string[]
}

interface Counts {
  readonly passed: number
  readonly failed: number
  readonly skipped: number
}

interface Result extends Counts {
  readonly report: string
}

/** The folder in which each file has its own process. */
const apart = 'test/faults'
/** Folders that take longest, the slowest first, so that none of them starts last. */
const slow = [
  'test/teams',
  'test/packaging',
  'test/ui',
  'test/docs',
  'test/security',
  'test/processors',
  'test/engines',
  'test/plugins',
  'test/console',
  'test/stores',
  'test/faults',
  'test/cluster',
  'test/strategies',
  'test/routes',
  'test/cache',
  'test/cli',
  'test/gateway',
  'test/clients',
]
/** Maximum number of files in a process: few enough that the other processes need not wait for it at the end. */
const maxFiles = 30
const testTimeoutMs = 120_000
const groupTimeoutMs = 600_000
const root = join(import.meta.dirname, '..')
/** A larger young generation: a test process loads much and keeps little, and is a tenth cheaper with it. */
const nodeOptions = ['--min-semi-space-size=32', '--max-semi-space-size=64']
const compileCache = { NODE_COMPILE_CACHE: join(root, 'node_modules/.cache/node') }
const reports = join(root, 'coverage/tests')

rmSync(reports, { recursive: true, force: true })
mkdirSync(reports, { recursive: true })
const patterns = process.argv.slice(2)
const files = globSync(patterns.length > 0 ? patterns : 'test/**/*.test.ts', { cwd: root })
const waiting = groupsOf(files.toSorted())
const results: Result[] = []
await Promise.all([compileSources(...nodeOptions), compileSources('--expose-gc')])
// Tests wait longer than they compute: twice as many processes as processors keep these busy.
await Promise.all(Array.from({ length: 2 * availableParallelism() }, runNext))

writeFileSync(join(root, 'coverage/tests.txt'), results.map(({ report }) => report).join('\n'))
const sum = (key: keyof Counts): number => results.reduce((total, result) => total + result[key], 0)
process.stdout.write(`tests: ${sum('passed')} passed, ${sum('failed')} failed, ${sum('skipped')} skipped\n`)
process.exitCode = sum('failed') > 0 || sum('passed') === 0 ? 1 : 0

/** Slow and large folders have separate processes; the others share one. */
function groupsOf(all: readonly string[]): Group[] {
  const folders = Map.groupBy(all, (file) => (folderOf(file) === apart ? file : folderOf(file)))
  const groups: Group[] = []
  const small: Group[] = []
  for (const [name, files] of [...folders].toSorted(([a], [b]) => rank(a) - rank(b))) {
    if (rank(name) === slow.length && files.length <= maxFiles) {
      small.push({ name, files })
      continue
    }
    const parts = Math.ceil(files.length / maxFiles)
    const size = Math.ceil(files.length / parts)
    for (let part = 0; part < parts; part++)
      groups.push({
        name: parts === 1 ? name : `${name} ${part + 1}/${parts}`,
        files: files.slice(part * size, (part + 1) * size),
      })
  }
  const shared: Group[] = []
  for (const next of small) {
    const last = shared.at(-1)
    if (last === undefined || last.files.length + next.files.length > maxFiles) shared.push(next)
    else shared.splice(-1, 1, { name: `${last.name}, ${next.name}`, files: [...last.files, ...next.files] })
  }
  return [...groups, ...shared]
}

/** Position in `slow` of a folder, or of a file with its own process. */
function rank(name: string): number {
  const at = slow.findIndex((folder) => name === folder || name.startsWith(`${folder}/`))
  return at === -1 ? slow.length : at
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

async function runNext(): Promise<void> {
  for (let group = waiting.shift(); group !== undefined; group = waiting.shift()) {
    const startedAt = performance.now()
    const result = await run(group)
    results.push(result)
    const seconds = ((performance.now() - startedAt) / 1000).toFixed(1)
    const skipped = result.skipped > 0 ? `, ${result.skipped} skipped` : ''
    const counts = `${result.passed} passed${result.failed > 0 ? `, ${result.failed} FAILED` : ''}${skipped}`
    process.stdout.write(`${result.failed > 0 ? '✖' : '✔'} ${group.name}: ${counts} (${seconds} s)\n`)
    if (result.failed > 0) process.stdout.write(`${failuresIn(result.report)}\n`)
  }
}

/** One process with the tests of these files. It counts as a failed test if it exits with an error of its own. */
async function run({ name, files: of }: Group): Promise<Result> {
  const path = join(reports, `${name.replaceAll(/[^a-z0-9.]+/g, '-')}.txt`)
  const output = createWriteStream(path)
  await once(output, 'open')
  const args = [
    ...nodeOptions,
    `--test-timeout=${testTimeoutMs}`,
    '--test-reporter=spec',
    'test/helpers/group.ts',
    ...of,
  ]
  const child = spawn(process.execPath, args, {
    cwd: root,
    stdio: ['ignore', output, output],
    env: { ...compileCache, ...process.env },
    timeout: groupTimeoutMs,
    killSignal: 'SIGKILL',
  })
  const [code, signal] = await once(child, 'close')
  output.end()
  const report = stripVTControlCharacters(readFileSync(path, 'utf8'))
  const counts = countsIn(report)
  if (code === 0 || counts.failed > 0) return { ...counts, report }
  return { ...counts, failed: 1, report: `${report}\n${name} ended with ${signal ?? `exit code ${code}`}\n` }
}

function countsIn(report: string): Counts {
  const count = (word: string): number =>
    Number([...report.matchAll(new RegExp(`^ℹ ${word} (\\d+)$`, 'gm'))].at(-1)?.[1] ?? 0)
  return { passed: count('pass'), failed: count('fail') + count('cancelled'), skipped: count('skipped') }
}

/** The part of a report that describes failures, or its end if there are none. */
function failuresIn(report: string): string {
  const at = report.lastIndexOf('✖ failing tests:')
  return at === -1 ? report.slice(-4000) : report.slice(at)
}
