import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { type ClientProgram, filesOf, notesServer } from './client-programs.ts'
import { sectionText } from './page.ts'

/** A home directory and a project with the file notes.txt, in which a client program runs. */
export interface Workplace {
  readonly notesPath: string
  notes(): string
  /** Starts the program with the blocks of docs/clients.md and these arguments. */
  start(args: readonly string[]): RunningClient
  remove(): void
}

export interface RunningClient {
  /** Sends what Ctrl+C in a terminal sends, to all its processes. */
  interrupt(): void
  /** Everything it printed, and its exit code, once it has exited. */
  readonly ended: Promise<{ code: number | null; output: string }>
}

/** Downloads a client program, or its newest version, into a folder that later runs reuse; returns the folder of its commands. */
export async function installClient({ npmPackage }: ClientProgram): Promise<string> {
  const folder = join(tmpdir(), 'llm-router-clients', npmPackage.replaceAll('/', '+'))
  mkdirSync(folder, { recursive: true })
  writeFileSync(join(folder, 'package.json'), '{"private":true}')
  // Some download their binary in an install script.
  const args = [
    'install',
    '--no-audit',
    '--no-fund',
    '--no-save',
    '--ignore-scripts=false',
    `${npmPackage}@latest`,
  ]
  const npm = spawn('npm', args, { cwd: folder, stdio: ['ignore', 'ignore', 'pipe'] })
  let said = ''
  npm.stderr.on('data', (text) => {
    said += text
  })
  const [code] = await once(npm, 'close')
  if (code !== 0) throw new Error(`${npmPackage} cannot be installed: ${said}`)
  return join(folder, 'node_modules/.bin')
}

export interface WorkplaceOptions {
  routerUrl: string
  key: string
  commands: string
  withMcp?: boolean
}

export function openWorkplace(program: ClientProgram, options: WorkplaceOptions): Workplace {
  const { routerUrl, key, commands, withMcp = false } = options
  const folder = mkdtempSync(join(tmpdir(), 'llm-router-client-'))
  const home = join(folder, 'home')
  const project = join(folder, 'project')
  const write = (path: string, text: string): void => {
    mkdirSync(dirname(path), { recursive: true })
    writeFileSync(path, text)
  }
  const notesPath = join(project, 'notes.txt')
  write(notesPath, 'colour = red\n')
  for (const [path, text] of Object.entries(filesOf(program, routerUrl, withMcp ? notesServer : undefined)))
    write(join(home, path), text)
  const lines = sectionText(program.heading, 'sh', routerUrl).trimEnd().split('\n')
  const command = lines.pop() ?? ''
  const mcpArgs = withMcp ? (program.mcp?.args?.(notesServer) ?? []) : []
  const env = {
    PATH: `${dirname(process.execPath)}:${commands}:${process.env.PATH}`,
    HOME: home,
    TERM: 'xterm-256color',
    ROUTER_KEY: key,
    ...program.env,
  }
  return {
    notesPath,
    notes: () => readFileSync(notesPath, 'utf8'),
    start(args) {
      const script = `${lines.join('\n')}\nexec ${command} "$@"`
      const child = spawn('bash', ['-c', script, 'bash', ...args, ...mcpArgs], {
        cwd: project,
        env,
        stdio: ['ignore', 'pipe', 'pipe'],
        detached: true,
      })
      let output = ''
      for (const stream of [child.stdout, child.stderr])
        stream?.on('data', (text) => {
          output += text
        })
      const signal = (name: NodeJS.Signals): void => {
        if (child.exitCode === null && child.pid) process.kill(-child.pid, name)
      }
      const kill = (): void => signal('SIGKILL')
      const limit = setTimeout(kill, 90_000)
      process.once('exit', kill)
      const ended = once(child, 'close').then(([code]) => {
        clearTimeout(limit)
        process.off('exit', kill)
        return { code: typeof code === 'number' ? code : null, output }
      })
      return { interrupt: () => signal('SIGINT'), ended }
    },
    remove: () => rmSync(folder, { recursive: true, force: true, maxRetries: 5 }),
  }
}
