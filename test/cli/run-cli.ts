import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before } from 'node:test'
import { runCli as runCommand } from '../../src/cli/run.ts'
import { childEnv, root } from '../helpers/child-env.ts'

export interface Ended {
  code: number | null
  stdout: string
  stderr: string
}

/**
 * Runs a command to its end in this process, with only these variables: a child process would load the whole router for it.
 * Relative paths start at the project's directory.
 */
export async function runCli(args: readonly string[], env: Record<string, string> = {}): Promise<Ended> {
  const ended: Ended = { code: null, stdout: '', stderr: '' }
  const code = await runCommand(args, {
    program: 'llm-router',
    env: childEnv(env),
    print: (text) => {
      ended.stdout += text
    },
    printError: (text) => {
      ended.stderr += text
    },
    serve: () => assert.fail('a command was expected'),
  })
  return { ...ended, code: code ?? null }
}

/** Runs the program in a child process, as users do. This also tests its exit and its output streams. */
export async function runCliProcess(
  args: readonly string[],
  env: Record<string, string> = {},
  cwd = root,
): Promise<Ended> {
  const child = spawn(process.execPath, [join(root, 'src/cli.ts'), ...args], {
    cwd,
    env: childEnv(env),
  })
  const ended: Ended = { code: null, stdout: '', stderr: '' }
  for (const name of ['stdout', 'stderr'] as const) {
    child[name].on('data', (chunk) => {
      ended[name] += chunk
    })
  }
  const [code] = await once(child, 'close')
  return { ...ended, code: typeof code === 'number' ? code : null }
}

/** A folder for the tests of a file, which is removed after them. */
export function temporaryFolder(): () => string {
  let folder = ''
  before(() => {
    folder = mkdtempSync(join(tmpdir(), 'llm-router-cli-'))
  })
  after(() => rmSync(folder, { recursive: true }))
  return () => folder
}

/** Writes a file. Returns its path. */
export function writtenTo(folder: string, name: string, text: string): string {
  const path = join(folder, name)
  writeFileSync(path, text)
  return path
}
