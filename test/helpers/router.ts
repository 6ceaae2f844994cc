import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Writable } from 'node:stream'
import type { FastifyInstance } from 'fastify'
import { pino } from 'pino'
import { type AppOptions, buildApp } from '../../src/app.ts'
import { loadConfig } from '../../src/config/settings/settings.ts'

export interface TestRouter {
  /** `http://127.0.0.1:port` */
  readonly url: string
  readonly app: FastifyInstance
  /** Its models-config.json. */
  readonly file: string
  /** Every log line so far, parsed. */
  readonly logs: readonly Record<string, unknown>[]
  /** The line of the next request that finishes, or of the one with this id. */
  requestLogged(id?: string): Promise<Record<string, unknown>>
  /** The first line, existing or future, for which this is true. */
  logged(wanted: (line: Record<string, unknown>) => boolean): Promise<Record<string, unknown>>
  close(): Promise<void>
}

export interface TestRouterOptions {
  env?: Record<string, string>
  /** The whole models-config.json; not used if `env` names a file. */
  models: unknown
  /** Random numbers for the strategies; by default they begin at the first target of the file. */
  random?: () => number
  /** Resolves host names of upstreams; by default the system resolver. */
  lookup?: AppOptions['lookup']
}

/** The production app on a free port, with access to its log lines. */
export async function startRouter({
  env = {},
  models,
  random = () => 0,
  lookup,
}: TestRouterOptions): Promise<TestRouter> {
  const folder = mkdtempSync(join(tmpdir(), 'llm-router-'))
  const file = join(folder, 'models-config.json')
  writeFileSync(file, JSON.stringify(models))
  const all = {
    LLM_ROUTER_LOG_LEVEL: 'debug',
    LLM_ROUTER_HEALTH_INTERVAL: '0',
    LLM_ROUTER_DRAIN_ACCEPT: '0',
    // Tests run in the same process as the app and may delay it.
    LLM_ROUTER_SHED_DELAY: '0',
    LLM_ROUTER_MODELS_CONFIG: file,
    ...env,
    LLM_ROUTER_LOG_FILENAME: '',
  }
  const logs: Record<string, unknown>[] = []
  const watching: {
    wanted: (line: Record<string, unknown>) => boolean
    resolve: (line: Record<string, unknown>) => void
  }[] = []
  const waiting: { id: string | undefined; resolve: (line: Record<string, unknown>) => void }[] = []
  const stream = new Writable({
    write(chunk, _encoding, done) {
      const line: Record<string, unknown> = JSON.parse(String(chunk))
      logs.push(line)
      for (const { wanted, resolve } of watching) if (wanted(line)) resolve(line)
      if (line.msg === 'request') {
        const at = waiting.findIndex(({ id }) => id === undefined || id === line.request_id)
        if (at !== -1) waiting.splice(at, 1)[0]?.resolve(line)
      }
      done()
    },
  })
  const { config } = loadConfig(all)
  try {
    const logger = pino({ level: config.logLevel }, stream)
    const app = await buildApp({ config, env: all, logger, random, lookup })
    const url = await app.listen({ host: '127.0.0.1', port: 0 })
    return {
      url,
      app,
      file,
      logs,
      requestLogged(id) {
        const logged = id && logs.find((line) => line.msg === 'request' && line.request_id === id)
        if (logged) return Promise.resolve(logged)
        return new Promise((resolve) => waiting.push({ id, resolve }))
      },
      logged(wanted) {
        const line = logs.find(wanted)
        if (line) return Promise.resolve(line)
        return new Promise((resolve) => watching.push({ wanted, resolve }))
      },
      async close() {
        await app.close()
        rmSync(folder, { recursive: true, force: true })
      },
    }
  } catch (error) {
    rmSync(folder, { recursive: true })
    throw error
  }
}
