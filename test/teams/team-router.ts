import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before } from 'node:test'
import { request } from 'undici'
import { bearer } from '../helpers/keys-file.ts'
import { messages } from '../helpers/messages.ts'
import { startRouter, type TestRouter } from '../helpers/router.ts'

export const adminKey = 'sk-admin-of-the-tests-0123456789'

export interface Answer {
  status: number
  headers: Headers
  // biome-ignore lint/suspicious/noExplicitAny: tests inspect arbitrary API responses.
  body: any
}

/** A router with a database, and the requests of its administrators and clients. */
export interface TeamRouter {
  readonly router: TestRouter
  /** A request to `P/admin` with the administrator's key, or with another one. */
  admin(method: string, path: string, body?: object, headers?: Record<string, string>): Promise<Answer>
  /** A new key of a client, in full; the client is created if it does not exist. */
  newKey(client: string, record?: object): Promise<string>
  /** A chat with a model, by default one that every client may use. */
  chat(key: string, model?: string, more?: object): Promise<Answer>
}

/** Runs `cleanup` when its test or its suite has ended. */
export interface Cleanup {
  after(cleanup: () => unknown): void
}

export interface SharedTeam extends TeamRouter {
  /** The URL of its database. */
  readonly url: string
}

export const models = {
  active_models: { all: ['small', 'large', 'broken'] },
  all: {
    broken: { providers: [{ id: 'broken', api_type: 'mock', mock: { error_status: 400 } }] },
    small: { providers: [{ id: 'small', api_type: 'mock' }] },
    large: { providers: [{ id: 'large', api_type: 'mock' }] },
  },
}

/** Settings that make a router use a database, with an administrator. */
export function teamEnv(databaseUrl: string): Record<string, string> {
  return {
    LLM_ROUTER_DATABASE_URL: databaseUrl,
    LLM_ROUTER_AUTH_ENABLED: '1',
    LLM_ROUTER_ADMIN_KEY: adminKey,
    ...(databaseUrl.startsWith('postgres')
      ? { LLM_ROUTER_SESSION_SECRET: 'secret-of-the-sessions-of-the-tests' }
      : {}),
  }
}

export async function openTeam(
  t: Cleanup | undefined,
  databaseUrl: string,
  env: Record<string, string> = {},
  config: object = models,
): Promise<TeamRouter> {
  const router = await startRouter({
    models: config,
    env: { ...teamEnv(databaseUrl), ...env },
  })
  t?.after(() => router.close())
  return { router, ...requestsTo(router.url) }
}

/** A router for all tests of the suite in which this is called: each test has its own clients, groups and budgets. */
export function shareTeam(
  urlOf: (t: Cleanup) => string | Promise<string>,
  envOf: () => Record<string, string> = () => ({}),
  configOf: () => object = () => models,
): SharedTeam {
  let [url, team]: [string?, TeamRouter?] = []
  const cleanups: (() => unknown)[] = []
  before(async () => {
    url = await urlOf({ after: (cleanup) => cleanups.push(cleanup) })
    team = await openTeam(undefined, url, envOf(), configOf())
  })
  after(async () => {
    await team?.router.close()
    for (const cleanup of cleanups) await cleanup()
  })
  const opened = (): TeamRouter => team ?? assert.fail('the router is not running')
  return {
    get url() {
      return url ?? assert.fail('the router is not running')
    },
    get router() {
      return opened().router
    },
    admin: (...args) => opened().admin(...args),
    newKey: (...args) => opened().newKey(...args),
    chat: (...args) => opened().chat(...args),
  }
}

export function requestsTo(url: string): Omit<TeamRouter, 'router'> {
  const ask = async (
    method: string,
    path: string,
    { body, headers: more = {} }: { body?: object | undefined; headers?: Record<string, string> },
  ): Promise<Answer> => {
    const type = body === undefined ? {} : { 'content-type': 'application/json' }
    const init = {
      method,
      headers: { ...type, ...more },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    }
    // For thousands of requests: fetch costs three times as much.
    const response = await request(url + path, init)
    const text = await response.body.text()
    const headers = headersOf(response.headers)
    const isJson = /json/.test(headers.get('content-type') ?? '')
    return { status: response.statusCode, headers, body: isJson ? JSON.parse(text) : text }
  }
  const admin: TeamRouter['admin'] = (method, path, body, headers = {}) =>
    ask(method, `/api/admin${path}`, { body, headers: { ...bearer(adminKey), ...headers } })
  return {
    admin,
    async newKey(client, record = {}) {
      const { status } = await admin('GET', `/clients/${client}`)
      if (status === 404) {
        const created = await admin('POST', '/clients', { id: client, ...record })
        assert.equal(created.status, 201, JSON.stringify(created.body))
      }
      const made = await admin('POST', `/clients/${client}/keys`, {})
      assert.equal(made.status, 201, JSON.stringify(made.body))
      return made.body.key
    },
    chat: (key, model = 'small', more = {}) =>
      ask('POST', '/v1/chat/completions', {
        body: { model, messages, ...more },
        headers: bearer(key),
      }),
  }
}

function headersOf(all: Record<string, string | string[] | undefined>): Headers {
  const headers = new Headers()
  for (const [name, values = []] of Object.entries(all))
    for (const value of [values].flat()) headers.append(name, value)
  return headers
}

/** The URL of a SQLite database in a folder that is removed with the test. */
export function sqliteUrl(t: Cleanup): string {
  const folder = mkdtempSync(join(tmpdir(), 'llm-router-sqlite-'))
  // The router that closes next may still write to it; a failure here would prevent the other hooks from running.
  t.after(() => rmSync(folder, { recursive: true, force: true, maxRetries: 10 }))
  return `sqlite:${join(folder, 'router.db')}`
}
