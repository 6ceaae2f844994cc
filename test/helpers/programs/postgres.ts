import { execFileSync, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { chmodSync, chownSync, mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { delimiter, join } from 'node:path'
import pg from 'pg'
import { openDatabase } from '../../../src/stores/database/open.ts'
import { freePort } from '../http.ts'
import { missing } from './program.ts'

export interface Postgres {
  /** The URL of a new database with or without the router's tables. */
  url(content?: 'tables' | 'nothing'): Promise<string>
  /** Runs one of its programs, such as `pg_dump`; returns what it wrote to stdout. */
  run(program: string, args: readonly string[], input?: string): string
  /** Stops it immediately; `start` restarts it with the committed data. */
  stop(): Promise<void>
  start(): Promise<void>
}

let shared: Promise<Postgres> | undefined

/**
 * A real PostgreSQL on a free port, shared by all tests of this process and stopped with it: setting one up takes as long as
 * the tests of a file. A test that stops it must start it again. It refuses to run as root, so root runs it as the user of
 * Debian's package.
 */
export function sharedPostgres(): Promise<Postgres> {
  shared ??= startPostgres()
  return shared
}

/** Tests may be killed with their process, but not with the machine: nothing needs to be flushed to disk. */
const settings = ['fsync=off', 'full_page_writes=off', 'shared_buffers=16MB', 'max_wal_senders=0']
  .concat('wal_level=minimal', 'autovacuum=off')
  .flatMap((setting) => ['-c', setting])
const template = 'router_template'

async function startPostgres(): Promise<Postgres> {
  const programs = { ...process.env, PATH: [process.env.PATH, ...debianFolders()].join(delimiter) }
  const user = process.getuid?.() === 0 ? { uid: idOf('-u'), gid: idOf('-g') } : undefined
  const folder = mkdtempSync(join(tmpdir(), 'llm-router-postgres-'))
  if (user) chownSync(folder, user.uid, user.gid)
  chmodSync(folder, 0o700)
  const data = join(folder, 'data')
  const options = { env: programs, cwd: folder, ...user }
  const init = ['-D', data, '-U', 'router', '-A', 'trust', '--no-sync', '--no-instructions', '-E', 'UTF8']
  execFileSync('initdb', [...init, '--no-locale'], { ...options, stdio: 'ignore' })
  const port = await freePort()
  const urlOf = (database: string): string => `postgres://router@127.0.0.1:${port}/${database}`
  let stopping: (() => Promise<void>) | undefined
  const start = async (): Promise<void> => {
    const args = ['-D', data, '-p', String(port), '-k', folder, '-h', '127.0.0.1', ...settings]
    const child = spawn('postgres', args, { ...options, stdio: ['ignore', 'ignore', 'pipe'] })
    const exit = once(child, 'exit')
    let output = ''
    while (!output.includes('ready to accept connections')) {
      const [chunk] = await Promise.race([once(child.stderr, 'data'), exit])
      if (child.exitCode !== null) throw new Error(`PostgreSQL ended: ${output}`)
      output += chunk
    }
    child.stderr.resume()
    // It does not keep the test process alive.
    child.unref()
    if (child.stderr instanceof Socket) child.stderr.unref()
    stopping = async () => {
      child.ref()
      child.kill('SIGQUIT')
      await exit
    }
  }
  process.once('exit', () => {
    // Waits for its end, unlike a signal: until then it writes to its folder.
    spawnSync('pg_ctl', ['stop', '-m', 'immediate', '-D', data], { ...options, stdio: 'ignore' })
    rmSync(folder, { recursive: true, force: true, maxRetries: 10 })
  })
  await start()
  const execute = async (statement: string): Promise<void> => {
    const client = new pg.Client(urlOf('postgres'))
    await client.connect()
    await client.query(statement).finally(() => client.end())
  }
  await execute(`create database ${template}`)
  const first = await openDatabase({ kind: 'postgres', url: urlOf(template) }, (error) => {
    throw error
  })
  await first.close()
  let databases = 0
  return {
    async url(content = 'tables') {
      const name = `router_${++databases}`
      await execute(`create database ${name} template ${content === 'tables' ? template : 'template0'}`)
      return urlOf(name)
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
    async stop() {
      await stopping?.()
      stopping = undefined
    },
  }
}

/** Debian installs the server's programs outside PATH. */
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
