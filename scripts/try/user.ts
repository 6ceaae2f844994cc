import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

const limitMs = 600_000

/** One user with an empty home directory, who types commands and is timed. */
export class User {
  readonly home = mkdtempSync(join(tmpdir(), 'llm-router-try-'))
  readonly #started: ChildProcess[] = []
  readonly #report: (line: string) => void
  readonly #env: Record<string, string>
  readonly #port: number
  #startedAt = performance.now()

  constructor(port: number, report: (line: string) => void) {
    this.#port = port
    this.#report = report
    const bin = join(this.home, '.local/bin')
    mkdirSync(bin, { recursive: true })
    this.#env = {
      ...ofTheNetwork(process.env),
      HOME: this.home,
      PATH: `${bin}:${withoutPackages(process.env.PATH ?? '')}`,
      npm_config_prefix: join(this.home, '.local'),
      npm_config_update_notifier: 'false',
      LLM_ROUTER_SERVER_HOST: '127.0.0.1',
      LLM_ROUTER_SERVER_PORT: String(port),
      LLM_ROUTER_LOG_FORMAT: 'json',
    }
  }

  static async arrives(name: string, report: (line: string) => void): Promise<User> {
    report(name)
    return new User(await freePort(), report)
  }

  /** Installs the Node that runs this program, in place of an older one that the machine may have. */
  hasThisNode(): void {
    symlinkSync(process.execPath, join(this.home, '.local/bin/node'))
  }

  /** Starts the clock. */
  begins(): void {
    this.#startedAt = performance.now()
  }

  writes(name: string, text: string): void {
    writeFileSync(join(this.home, name), text)
  }

  set(name: string, value: string): void {
    this.#env[name] = value
  }

  /** Runs a command to its end. Its output must match. */
  async types(command: string, wanted: RegExp, success: string): Promise<void> {
    const child = this.#spawn(command)
    const output = read(child)
    const [code] = await once(child, 'close')
    if (code !== 0 || !wanted.test(output.stdout))
      throw new Error(`${command} ended with ${code}:\n${output.stdout}${output.stderr}`)
    this.#note(success)
  }

  /** Starts the router and waits until it listens. */
  async serves(command: string, success: string): Promise<void> {
    const child = this.#spawn(command)
    this.#started.push(child)
    const output = read(child)
    const ended = once(child, 'close').then(() => {
      throw new Error(`${command} ended:\n${output.stdout}${output.stderr}`)
    })
    ended.catch(() => undefined) // reported by the race
    while (!output.stdout.includes('"msg":"listening"'))
      await Promise.race([once(child.stdout ?? child, 'data'), ended])
    this.#note(success)
  }

  /** Ends the router that was started last. */
  async stops(): Promise<void> {
    const child = this.#started.pop()
    if (child?.pid === undefined || child.exitCode !== null || child.signalCode !== null) return
    const closed = once(child, 'close')
    // The process group: npx and the shell are in between.
    process.kill(-child.pid, 'SIGTERM')
    await closed
  }

  async leaves(): Promise<void> {
    while (this.#started.length > 0) await this.stops()
    rmSync(this.home, { recursive: true, force: true })
  }

  #spawn(command: string): ChildProcess {
    const here = command.replaceAll(/127\.0\.0\.1:8080/g, `127.0.0.1:${this.#port}`)
    return spawn('bash', ['-c', here], {
      cwd: this.home,
      env: this.#env,
      detached: true,
      stdio: ['ignore', 'pipe', 'pipe'],
      timeout: limitMs,
    })
  }

  #note(success: string): void {
    const seconds = (performance.now() - this.#startedAt) / 1000
    this.#report(`${seconds.toFixed(1).padStart(7)} s  ${success}`)
  }
}

function read(child: ChildProcess): { stdout: string; stderr: string } {
  const output = { stdout: '', stderr: '' }
  for (const name of ['stdout', 'stderr'] as const)
    child[name]?.setEncoding('utf8').on('data', (text: string) => {
      output[name] += text
    })
  return output
}

/** Variables that configure the package registry. No other variables of this machine reach the user. */
function ofTheNetwork(env: NodeJS.ProcessEnv): Record<string, string> {
  const names =
    /^(?:npm_config_registry|https?_proxy|all_proxy|no_proxy|node_extra_ca_certs|ssl_cert_(?:file|dir))$/i
  return Object.fromEntries(
    Object.entries(env).flatMap(([name, value]) =>
      names.test(name) && value !== undefined ? [[name, value]] : [],
    ),
  )
}

/** `npm run` puts the tools of this checkout first in PATH. */
function withoutPackages(path: string): string {
  return path
    .split(':')
    .filter((folder) => !/node_modules\/\.bin\/?$|node-gyp-bin$/.test(folder))
    .join(':')
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  server.close()
  if (typeof address !== 'object' || !address) throw new Error('no port')
  return address.port
}
