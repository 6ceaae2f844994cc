import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { parse } from 'yaml'
import { loadModels } from '../../src/config/models/load.ts'
import { loadConfig } from '../../src/config/settings/settings.ts'
import { mock } from '../../src/providers/mock/index.ts'
import { Registry } from '../../src/sdk/registry.ts'
import { missing } from './chart.ts'

interface Service {
  environment?: Record<string, string>
  volumes?: string[]
  ports?: string[]
  build?: string
  image: string
  stop_grace_period?: string
}

interface Mount {
  source: string
  target: string
}

const folder = join(import.meta.dirname, '../../deploy/compose')
const root = join(folder, '../..')
const { services, volumes }: { services: Record<string, Service>; volumes: object } = read('compose.yaml')
const router = services.router ?? assert.fail('there is no router')
const prometheus: {
  rule_files: string[]
  scrape_configs: { job_name: string; dns_sd_configs: { names: string[]; port: number }[] }[]
} = read('prometheus.yaml')

test('the composed router accepts its environment', () => {
  const { config, warnings } = loadConfig(router.environment ?? {})
  assert.equal(config.usePrometheus, true)
  assert.ok(Object.hasOwn(services, config.redisHost), config.redisHost)
  assert.deepEqual(warnings, [])
})

test('the team database runs only if enabled, and the router uses its address', () => {
  const { postgres } = services
  const { POSTGRES_USER: user, POSTGRES_DB: name } = postgres?.environment ?? {}
  const address = `postgres://${user}:secret@postgres:5432/${name}`
  const text = readFileSync(join(folder, 'compose.yaml'), 'utf8')
  assert.ok(text.includes(`LLM_ROUTER_DATABASE_URL=${address.replace('secret', 'PASSWORD')}`))
  const { config } = loadConfig({
    ...router.environment,
    LLM_ROUTER_DATABASE_URL: address,
    LLM_ROUTER_AUTH_ENABLED: '1',
    LLM_ROUTER_SESSION_SECRET: 'secret-of-the-sessions-of-the-tests',
  })
  assert.equal(config.databaseUrl, address)
  assert.ok(mounts(router).some(({ target }) => target === config.usageSpool))
})

test('Docker waits longer than the router drains', () => {
  const drain = Number(router.environment?.LLM_ROUTER_DRAIN_TIMEOUT)
  assert.equal(router.stop_grace_period, `${drain + 20}s`)
})

test('the composed router reads a valid models-config.json', () => {
  const { target, source } =
    mounts(router).find(({ target }) => target === '/etc/llm-router') ?? assert.fail()
  const path = router.environment?.LLM_ROUTER_MODELS_CONFIG ?? ''
  const text = readFileSync(join(folder, source, path.slice(target.length)), 'utf8')
  const { $schema } = JSON.parse(text)
  assert.ok(existsSync(join(folder, source, $schema)), $schema)
  const providers = new Registry<typeof mock>('provider type')
  providers.add(mock)
  const { models, warnings } = loadModels(text, {
    providers,
    env: {},
    readFile: () => assert.fail('it names no files'),
    baseDir: '/',
  })
  assert.deepEqual([models.map(({ alias }) => alias), warnings], [['demo'], []])
})

test('every mounted file and directory exists', () => {
  assert.ok(existsSync(join(folder, router.build ?? '', 'Dockerfile')))
  for (const [name, service] of Object.entries(services)) {
    for (const { source } of mounts(service)) {
      if (!source.startsWith('.')) assert.ok(Object.hasOwn(volumes, source), `${name}: ${source}`)
      // The dashboard and the rules are mounted from their source; Docker creates a directory that is missing.
      else if (!source.startsWith('../../resources/')) assert.ok(existsSync(join(folder, source)), source)
    }
  }
})

test('only the router is reachable from other machines', () => {
  for (const [name, { ports = [] }] of Object.entries(services))
    if (name !== 'router') for (const port of ports) assert.match(port, /^127\.0\.0\.1:/, name)
})

test('Prometheus scrapes the router where it listens, under the same job name as in the chart', () => {
  const [job] = prometheus.scrape_configs
  const { serverPort } = loadConfig(router.environment ?? {}).config
  assert.equal(job?.job_name, 'llm-router')
  assert.deepEqual(
    job?.dns_sd_configs.map(({ names, port }) => [...names, port]),
    [['router', serverPort]],
  )
  for (const name of job?.dns_sd_configs[0]?.names ?? []) assert.ok(Object.hasOwn(services, name))
})

test('Prometheus finds its rules, and Grafana its dashboards and Prometheus, at their mount paths', () => {
  const rules = join(root, 'resources/prometheus')
  assert.deepEqual(prometheus.rule_files, [inside('prometheus', rules, 'rules.yaml')])
  if (existsSync(rules)) assert.ok(existsSync(join(rules, 'rules.yaml')))

  const { providers }: { providers: { options: { path: string } }[] } = read(
    'grafana/dashboards/llm-router.yaml',
  )
  assert.equal(providers[0]?.options.path, inside('grafana', join(root, 'resources/grafana')))
  const provisioned = mounts(services.grafana).find(({ target }) => target === '/etc/grafana/provisioning')
  assert.deepEqual(readdirSync(join(folder, provisioned?.source ?? '')).sort(), ['dashboards', 'datasources'])
  const { datasources }: { datasources: { url: string }[] } = read('grafana/datasources/prometheus.yaml')
  const url = new URL(datasources[0]?.url ?? '')
  assert.ok(Object.hasOwn(services, url.hostname))
})

test('promtool reports no error in the Prometheus configuration', { skip: missing('promtool') }, () => {
  const args = ['check', 'config', '--syntax-only', join(folder, 'prometheus.yaml')]
  const { status, stderr } = spawnSync('promtool', args, { encoding: 'utf8' })
  assert.equal(status, 0, stderr)
})

function read(path: string) {
  return parse(readFileSync(join(folder, path), 'utf8'))
}

/** The mounts of a service, with the defaults of their variables: `${NAME:-default}`. */
function mounts(service: Service | undefined): Mount[] {
  return (service?.volumes ?? []).map((line) => {
    const [source = '', target = ''] = line.replace(/\$\{\w+:-([^}]*)\}/g, '$1').split(':')
    return { source, target }
  })
}

/** The container path at which a service mounts a directory of this repository. */
function inside(service: string, directory: string, file = ''): string {
  const mount = mounts(services[service]).find(({ source }) => join(folder, source) === directory)
  return join(mount?.target ?? assert.fail(`${service} does not mount ${directory}`), file)
}
