import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { chmodSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { operatorKeyFor } from '../../src/cli/operator-key.ts'
import { runCli as runCommand } from '../../src/cli/run.ts'
import { runCli } from '../cli/run-cli.ts'
import { startRouter, type TestRouter } from '../helpers/router.ts'
import { programOf, root } from './blocks.ts'

/** A shell for the commands of a page, as if in the project's directory. */
export interface Shell {
  readonly folder: string
  /** Runs a command to its end and returns its output; a command that starts the router returns once that listens. */
  type(command: string): Promise<string>
  /** The router that was started last, or the one that the pages presuppose. */
  url(): string
  /** Ends started processes, and removes the folder. */
  close(): Promise<void>
}

// The real start script first checks the packages, and has its own tests (test/cli, test/packaging).
const startScript = `#!/usr/bin/env bash\nexec '${process.execPath}' '${join(root, 'src/cli.ts')}' "$@"\n`

/** Names and their values or contents. */
export type Names = Readonly<Record<string, string>>

export interface ShellOptions {
  /** A running router. */
  readonly url: string
  /** The files in the folder, by name. */
  readonly files?: Names
  readonly env?: Names
  /** Whether the router runs in a child process, as for a reader. Otherwise it runs in this process. */
  readonly ownProcesses?: boolean
}

/** A shell in a new folder. */
export function openShell({ url, files = {}, env = {}, ownProcesses = false }: ShellOptions): Shell {
  const folder = mkdtempSync(join(tmpdir(), 'llm-router-docs-'))
  for (const name of ['resources', 'node_modules']) symlinkSync(join(root, name), join(folder, name))
  for (const [name, text] of Object.entries({ ...files, 'run-rest-api.sh': startScript })) {
    mkdirSync(dirname(join(folder, name)), { recursive: true })
    writeFileSync(join(folder, name), text)
  }
  chmodSync(join(folder, 'run-rest-api.sh'), 0o755)
  const started: ChildProcess[] = []
  const startedHere: TestRouter[] = []
  const directory = process.cwd()
  let router = url
  let known: Record<string, string> = { ...settings(), ...env }

  return {
    folder,
    url: () => router,
    async type(command) {
      const line = command
        .replaceAll(/(?:http:\/\/)?(?:127\.0\.0\.1|localhost):80\d\d/g, router)
        .replaceAll(/SERVER_PORT=\d+/g, 'SERVER_PORT=0')
      const serving = ownProcesses ? undefined : servingHere(line)
      if (serving) {
        // The router continues to read files from there.
        process.chdir(folder)
        const here = await serveHere(serving.args, { ...known, ...serving.env })
        startedHere.push(here)
        router = here.url
        return ''
      }
      if (serves(command)) {
        const child = spawn('bash', ['-c', line], { cwd: folder, env: known, stdio })
        started.push(child)
        router = await listening(child)
        return ''
      }
      const args = argumentsOf(line)
      if (args) return await runHere(args, folder, known)
      if (programOf(command) !== 'export') return run(line, folder, known)
      const text = await run(`${line}; env -0`, folder, known)
      known = Object.fromEntries(
        text
          .split('\0')
          .filter(Boolean)
          .map((pair) => [pair.slice(0, pair.indexOf('=')), pair.slice(pair.indexOf('=') + 1)]),
      )
      return ''
    },
    async close() {
      for (const here of startedHere) await here.close()
      process.chdir(directory)
      for (const child of started) {
        if (child.exitCode !== null || child.signalCode !== null) continue
        const closed = once(child, 'close')
        child.kill('SIGKILL')
        await closed
      }
      rmSync(folder, { recursive: true })
    },
  }
}

function settings(): Record<string, string> {
  return {
    PATH: process.env.PATH ?? '',
    // As in the start script.
    NODE_COMPILE_CACHE: join(root, 'node_modules/.cache/node'),
    LLM_ROUTER_SERVER_HOST: '127.0.0.1',
    LLM_ROUTER_SERVER_PORT: '0',
    LLM_ROUTER_LOG_FORMAT: 'json',
    LLM_ROUTER_LOG_FILENAME: '',
  }
}

/** Whether this starts the router and does not return: without a command, or with options only. */
function serves(command: string): boolean {
  const [, rest] = /\.\/run-rest-api\.sh(.*)$/.exec(command.replace(/\s+#.*$/, '')) ?? []
  return rest !== undefined && !/^\s*(?:[a-z]|--help|--version)/.test(rest)
}

/** The variables and arguments of a command that starts the router and uses no shell syntax except variable assignments. */
function servingHere(line: string): { env: Names; args: readonly string[] } | undefined {
  const command = line.replace(/\s+#.*$/, '')
  if (!serves(command) || !/^[\w./:=, -]+$/.test(command)) return undefined
  const words = command.trim().split(/ +/)
  const at = words.indexOf('./run-rest-api.sh')
  const pairs = words
    .slice(0, at)
    .map((word) => [word.slice(0, word.indexOf('=')), word.slice(word.indexOf('=') + 1)])
  return { env: Object.fromEntries(pairs), args: words.slice(at + 1) }
}

/** Starts the router with these arguments in this process, as src/command.ts does in its own. */
async function serveHere(args: readonly string[], env: Names): Promise<TestRouter> {
  let router: TestRouter | undefined
  const code = await runCommand(args, {
    program: './run-rest-api.sh',
    env,
    print: (text) => assert.fail(text),
    printError: (text) => assert.fail(text),
    async serve(settings) {
      const operatorKey = operatorKeyFor(settings)
      const given = Object.entries(settings).filter((pair): pair is [string, string] => pair[1] !== undefined)
      router = await startRouter({
        models: {},
        env: {
          LLM_ROUTER_MODELS_CONFIG: 'resources/configs/models-config.json',
          ...Object.fromEntries(given),
          ...(operatorKey === undefined ? {} : { LLM_ROUTER_ADMIN_KEY: operatorKey }),
        },
      })
    },
  })
  assert.equal(code, undefined)
  return router ?? assert.fail('nothing was started')
}

/** The arguments of a router command that uses no shell syntax: no quotes, no redirection, no variables. */
function argumentsOf(line: string): readonly string[] | undefined {
  const [, rest] = /^\.\/run-rest-api\.sh( [\w./:=, -]+)$/.exec(line.replace(/\s+#.*$/, '')) ?? []
  return rest?.trim().split(/ +/)
}

/** Runs in this process: a child process would load the router's sources for each command. */
async function runHere(args: readonly string[], cwd: string, env: Names): Promise<string> {
  const from = process.cwd()
  process.chdir(cwd)
  try {
    const { code, stdout, stderr } = await runCli(args, env)
    assert.equal(code, 0, `${args.join(' ')}\n${stdout}${stderr}`)
    return stdout
  } finally {
    process.chdir(from)
  }
}

const stdio: ['ignore', 'pipe', 'pipe'] = ['ignore', 'pipe', 'pipe']

/** `curl` fails here if the router responds with an error. */
const preamble = 'set -eo pipefail; curl() { command curl -sS --fail-with-body "$@"; }; '

async function run(line: string, cwd: string, env: Record<string, string>): Promise<string> {
  const child = spawn('bash', ['-c', preamble + line], { cwd, env, stdio })
  let [text, errors] = ['', '']
  child.stdout.setEncoding('utf8').on('data', (chunk: string) => {
    text += chunk
  })
  child.stderr.setEncoding('utf8').on('data', (chunk: string) => {
    errors += chunk
  })
  const [code] = await once(child, 'close')
  assert.equal(code, 0, `${line}\n${text}${errors}`)
  return text
}

async function listening(child: ChildProcess): Promise<string> {
  let [text, errors] = ['', '']
  child.stderr?.setEncoding('utf8').on('data', (chunk: string) => {
    errors += chunk
  })
  const output = child.stdout ?? assert.fail('no output')
  output.setEncoding('utf8').on('data', (chunk: string) => {
    text += chunk
  })
  const ended = once(child, 'close').then(() => 'ended')
  for (;;) {
    if ((await Promise.race([once(output, 'data'), ended])) === 'ended') assert.fail(text + errors)
    const line = /^.*"msg":"listening".*\n/m.exec(text)?.[0]
    if (line !== undefined) return `http://127.0.0.1:${JSON.parse(line).port}`
  }
}
