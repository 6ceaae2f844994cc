import { execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { chmodSync, chownSync, mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { delimiter, join } from 'node:path'
import { freePort } from '../free-port.ts'
import { missing } from './program.ts'

export interface Postgres {
  /** Of a new, empty database. */
  url(): string
  /** Runs one of its programs, such as `pg_dump`; gives what it has written to stdout. */
  run(program: string, args: readonly string[], input?: string): string
  /** Ends it at once; `start` brings it back with what was committed. */
  stop(): Promise<void>
  start(): Promise<void>
  /** Ends it and removes its files. */
  remove(): Promise<void>
}

/** A real PostgreSQL on a free port. It refuses to run as root, so root runs it as the user of Debian's package. */
export async function startPostgres(): Promise<Postgres> {
  const programs = { ...process.env, PATH: [process.env.PATH, ...debianFolders()].join(delimiter) }
  const user = process.getuid?.() === 0 ? { uid: idOf('-u'), gid: idOf('-g') } : undefined
  const folder = mkdtempSync(join(tmpdir(), 'llm-router-postgres-'))
  if (user) chownSync(folder, user.uid, user.gid)
  chmodSync(folder, 0o700)
  const data = join(folder, 'data')
  const options = { env: programs, cwd: folder, ...user }
  const init = ['-D', data, '-U', 'router', '-A', 'trust', '--no-sync', '--no-instructions', '-E', 'UTF8']
  execFileSync('initdb', init, { ...options, stdio: 'ignore' })
  const port = await freePort()
  let databases = 0
  let stopping: (() => Promise<void>) | undefined
  const start = async (): Promise<void> => {
    const args = ['-D', data, '-p', String(port), '-k', folder, '-h', '127.0.0.1', '-F']
    const child = spawn('postgres', args, { ...options, stdio: ['ignore', 'ignore', 'pipe'] })
    const exit = once(child, 'exit')
    let output = ''
    while (!output.includes('ready to accept connections')) {
      const [chunk] = await Promise.race([once(child.stderr, 'data'), exit])
      if (child.exitCode !== null) throw new Error(`PostgreSQL ended: ${output}`)
      output += chunk
    }
    child.stderr.resume()
    stopping = async () => {
      child.kill('SIGQUIT')
      await exit
    }
  }
  const stop = async (): Promise<void> => {
    await stopping?.()
    stopping = undefined
  }
  await start()
  return {
    url() {
      const name = `router_${++databases}`
      execFileSync('createdb', ['-h', '127.0.0.1', '-p', String(port), '-U', 'router', name], options)
      return `postgres://router@127.0.0.1:${port}/${name}`
    },
    run: (program, args, input = '') =>
      execFileSync(program, args, {
        ...options,
        input,
        encoding: 'utf8',
        maxBuffer: 64 * 1024 * 1024,
        stdio: 'pipe',
      }),
    start,
    stop,
    async remove() {
      await stop()
      rmSync(folder, { recursive: true, force: true })
    },
  }
}

/** Debian keeps the server's programs out of the path. */
function debianFolders(): string[] {
  const versions = '/usr/lib/postgresql'
  try {
    return readdirSync(versions)
      .toSorted((a, b) => Number(b) - Number(a))
      .map((version) => join(versions, version, 'bin'))
  } catch {
    return []
  }
}

function idOf(flag: '-u' | '-g'): number {
  try {
    return Number(
      execFileSync('id', [flag, 'postgres'], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] }),
    )
  } catch {
    throw missing('postgres', 'postgresql')
  }
}
