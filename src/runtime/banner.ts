import type { Config } from '../config/settings/settings.ts'
import { version } from '../lib/version.ts'
import type { Model, Target } from '../sdk/target.ts'

interface StartInfo {
  /** The port that the router listens on. */
  port: number
  models: readonly Model[]
  /** Number of model servers that were discovered on this machine. */
  foundServers: number
  /** The operator key generated at this start; undefined if one is configured. */
  operatorKey: string | undefined
}

const maxModels = 8

/** Returns the startup message: address, models, notes and an example request. */
export function banner(config: Config, { port, models, foundServers, operatorKey }: StartInfo): string {
  const base = baseOf(config.serverHost, port)
  const listed = models
    .slice(0, maxModels)
    .map((model, index) => [index === 0 ? 'models' : '', `${model.alias}: ${serversOf(model)}`])
  const more = models.length > maxModels ? [['', `and ${models.length - maxModels} more`]] : []
  const rows = [
    ...(models.length === 0 ? [['models', 'none']] : listed),
    ...more,
    ['from', foundServers > 0 ? 'model servers found on this machine' : config.modelsConfigPath],
    ...(config.ui && config.adminPort === 0
      ? [['console', `${base}/ui${operatorKey === undefined ? '' : `#key=${operatorKey}`}`]]
      : []),
    ...(config.databaseUrl === ''
      ? [
          [
            'teams',
            `off; set LLM_ROUTER_DATABASE_URL${config.authEnabled ? '' : ' and LLM_ROUTER_AUTH_ENABLED=1'} to manage clients, keys, budgets and usage (docs/teams.md)`,
          ],
        ]
      : []),
    ...warningsOf(config, models).map((warning) => ['warning', warning]),
  ]
  const width = Math.max(...rows.map(([name = '']) => name.length))
  const request = example(base, models, config)
  return [
    `llm-router ${version} listens on ${base}${reachOf(config.serverHost, port)}`,
    ...rows.map(([name = '', text]) => `  ${name.padEnd(width)}  ${text}`),
    ...(request === undefined ? [] : ['try:', `  ${request}`]),
    '',
  ].join('\n')
}

function baseOf(serverHost: string, port: number): string {
  const host = isAnyAddress(serverHost) ? '127.0.0.1' : serverHost
  return `http://${host.includes(':') ? `[${host}]` : host}:${port}`
}

function isAnyAddress(host: string): boolean {
  return ['0.0.0.0', '::', ''].includes(host)
}

function reachOf(host: string, port: number): string {
  if (!isAnyAddress(host)) return ''
  return `, and on every other address of this machine (${host === '::' ? '[::]' : '0.0.0.0'}:${port})`
}

/** Lists servers as `gpu1 (vllm), gpu2 (ollama)`: by id, never by address. */
function serversOf({ targets, standby }: Model): string {
  const shown = targets.slice(0, 4).map(({ id, type }) => `${id} (${type.name})`)
  if (targets.length > shown.length) shown.push(`${targets.length - shown.length} more`)
  if (standby.length > 0) shown.push(`${standby.length} standby`)
  return shown.join(', ') || 'no server'
}

/** Warns if anyone can use upstreams that need a key and so may cost money. */
function warningsOf({ serverHost, authEnabled }: Config, models: readonly Model[]): string[] {
  const isLocal = /^(?:localhost|127\.\d+\.\d+\.\d+|::1)$/.test(serverHost)
  if (authEnabled || isLocal) return []
  const paid = models.flatMap(({ alias, targets }) => (targets.some(needsKey) ? [alias] : []))
  if (paid.length === 0) return []
  const names = paid.slice(0, 3).join(', ') + (paid.length > 3 ? ` and ${paid.length - 3} more` : '')
  return [
    `anyone who can reach this machine can use your API keys for ${names}: require client keys (LLM_ROUTER_AUTH_ENABLED=1), or listen on 127.0.0.1 only (--host 127.0.0.1)`,
  ]
}

function needsKey({ token, origin }: Target): boolean {
  return token !== undefined && origin.startsWith('https:')
}

/** Returns a curl command for the first chat model, or an embedding model if there is none. */
function example(base: string, models: readonly Model[], { authEnabled }: Config): string | undefined {
  const usable = models.filter(({ targets }) => targets.length > 0)
  const model = usable.find(({ embedding }) => !embedding) ?? usable[0]
  if (!model) return undefined
  const [path, body] = model.embedding
    ? ['embeddings', { model: model.alias, input: 'Hello' }]
    : ['chat/completions', { model: model.alias, messages: [{ role: 'user', content: 'Hello' }] }]
  const key = authEnabled ? " -H 'authorization: Bearer YOUR-KEY'" : ''
  const quoted = JSON.stringify(body).replaceAll("'", "'\\''")
  return `curl ${base}/v1/${path} -H 'content-type: application/json'${key} -d '${quoted}'`
}

/** Text to print once, on the terminal only, and after a start that succeeded: a failed one has no use for a key. */
export function operatorKeyText(key: string): string {
  return `operator key of this run: ${key}\n  required by requests that change the router; LLM_ROUTER_ADMIN_KEY sets a permanent one\n`
}
