import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { closeSync, openSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { stripVTControlCharacters } from 'node:util'

export interface Counts {
  readonly passed: number
  readonly failed: number
  readonly skipped: number
}

export interface TestResult extends Counts {
  readonly report: string
}

/** A larger young generation: a test process loads much and keeps little, and is a tenth cheaper with it. */
export const nodeOptions = ['--min-semi-space-size=32', '--max-semi-space-size=64']
export const testTimeoutMs = 120_000
/** Time limit of the files of one call of `run`, in milliseconds. */
const filesTimeoutMs = 600_000
export const root = join(import.meta.dirname, '..')
export const compileCache = { NODE_COMPILE_CACHE: join(root, 'node_modules/.cache/node') }

/** A process that runs test files. It counts as a failed test if it ends before them, or with an error of its own. */
export class TestProcess {
  readonly #path: string
  readonly #child: ChildProcess
  readonly #exited: Promise<unknown[]>
  #last: readonly string[] = []

  /** `path`: of its report. */
  constructor(path: string) {
    this.#path = path
    const args = [
      ...nodeOptions,
      `--test-timeout=${testTimeoutMs}`,
      '--test-reporter=spec',
      'test/helpers/run-files.ts',
    ]
    const output = openSync(path, 'w')
    this.#child = spawn(process.execPath, args, {
      cwd: root,
      stdio: ['ignore', output, output, 'ipc'],
      env: { ...compileCache, ...process.env },
    })
    closeSync(output)
    this.#exited = once(this.#child, 'exit')
  }

  get hasEnded(): boolean {
    return !this.#child.connected
  }

  /** Resolves when the tests of these files, or the process, have ended. */
  async run(files: readonly string[]): Promise<void> {
    this.#last = files
    const timer = setTimeout(() => this.#child.kill('SIGKILL'), filesTimeoutMs)
    const done = once(this.#child, 'message')
    this.#child.send(files)
    await Promise.race([done, this.#exited])
    clearTimeout(timer)
  }

  /** Ends the process, and returns the results of all its files. */
  async end(): Promise<TestResult> {
    const wasEnded = this.hasEnded
    if (!wasEnded) this.#child.disconnect()
    const timer = setTimeout(() => this.#child.kill('SIGKILL'), testTimeoutMs)
    const [code, signal] = await this.#exited
    clearTimeout(timer)
    const report = stripVTControlCharacters(readFileSync(this.#path, 'utf8'))
    const counts = countsIn(report)
    if (!wasEnded && (code === 0 || counts.failed > 0)) return { ...counts, report }
    const reason = `${this.#last.join(', ')}: the process ended with ${signal ?? `exit code ${code}`}`
    return { ...counts, failed: counts.failed + 1, report: `${report}\n${reason}\n` }
  }
}

function countsIn(report: string): Counts {
  const count = (word: string): number =>
    Number([...report.matchAll(new RegExp(`^ℹ ${word} (\\d+)$`, 'gm'))].at(-1)?.[1] ?? 0)
  return { passed: count('pass'), failed: count('fail') + count('cancelled'), skipped: count('skipped') }
}
