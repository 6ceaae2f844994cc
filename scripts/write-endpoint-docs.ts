/** Writes the tables of docs/endpoints.md from the metadata of the routes, as `/openapi.json` does. */
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { FastifyInstance } from 'fastify'
import { pino } from 'pino'
import { buildApp } from '../src/app.ts'
import { loadConfig } from '../src/config/settings/settings.ts'
import { docsTags } from '../src/sdk/endpoint-docs.ts'

const file = join(import.meta.dirname, '../docs/endpoints.md')
const begin = '<!-- generated from the routes by `npm run docs:endpoints` -->'
const end = '<!-- end of the generated part -->'

type Route = ReturnType<FastifyInstance['apiDocs']['routes']>[number]

/** docs/endpoints.md with its tables generated from the current routes. */
export async function endpointDocs(page: string): Promise<string> {
  const [before, rest] = page.split(begin)
  const after = rest?.split(end)[1]
  if (before === undefined || after === undefined)
    throw new Error('the marks of the generated part are missing')
  const env = {
    LLM_ROUTER_MODELS_CONFIG: join(import.meta.dirname, '../resources/configs/models-config.json'),
    LLM_ROUTER_EP_PREFIX: '/P',
    LLM_ROUTER_USE_PROMETHEUS: '1',
    LLM_ROUTER_HEALTH_INTERVAL: '0',
  }
  const { config } = loadConfig(env)
  const app = await buildApp({ config, env, logger: pino({ level: 'silent' }) })
  try {
    return `${before}${begin}\n\n${tables(app)}\n${end}${after}`
  } finally {
    await app.close()
  }
}

function tables(app: FastifyInstance): string {
  const groups = Object.keys(docsTags).flatMap((tag) => {
    const routes = app.apiDocs.routes().filter(({ docs }) => docs.tag === tag)
    if (routes.length === 0) return []
    const endpoints = Map.groupBy(routes, ({ docs }) => docs.id)
    const rows = [...endpoints.values()].map((same) => row(same, app))
    return [`## ${tag}\n\n| Endpoint | What | Served by |\n|---|---|---|\n${rows.join('\n')}\n`]
  })
  return groups.join('\n')
}

function row(routes: readonly Route[], app: FastifyInstance): string {
  const byMethod = Map.groupBy(routes, ({ method }) => method)
  const paths = [...byMethod].map(
    ([method, same]) => `${method} ${same.map(({ url, docs }) => `\`${shownPath(url, docs)}\``).join(', ')}`,
  )
  const { summary, description } = routes[0]?.docs ?? { summary: '' }
  const what = description === undefined ? summary : `${summary}. ${description}`
  return `| ${paths.join('; ')} | ${what.replaceAll('|', '\\|')} | ${servers(routes[0], app)} |`
}

function shownPath(url: string, docs: Route['docs']): string {
  return url
    .replace(/^\/P\//, 'P/')
    .replaceAll(/:(\w+)|\*/g, (part, name) => `{${docs.path?.[name ?? part]?.name ?? part}}`)
}

/** The kinds of upstreams that support one of the operations; "all" if every kind does. */
function servers(route: Route | undefined, app: FastifyInstance): string {
  const { operations, otherwise } = route?.docs ?? {}
  if (operations === undefined) return 'the router'
  const types = app.providers.names().map((name) => app.providers.get(name))
  const able = types.filter((type) => operations.some((operation) => type.path(operation) !== undefined))
  const names = able.length === types.length ? 'all' : able.map(({ name }) => `\`${name}\``).join(', ')
  return otherwise === undefined ? names : `${names}; else ${otherwise}`
}

if (import.meta.main) writeFileSync(file, await endpointDocs(readFileSync(file, 'utf8')))
