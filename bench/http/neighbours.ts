import { spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { freePort, listening } from '../support/child.ts'
import { processorTimeUs } from '../support/process-cost.ts'
import { type BenchCase, benchCases } from './cases.ts'
import { median } from './measure.ts'
import { bifrost } from './neighbours/bifrost.ts'
import { startGateway } from './neighbours/gateway.ts'
import { litellm } from './neighbours/litellm.ts'
import { expectSameWords } from './neighbours/words.ts'
import { smg, vllmRouter } from './neighbours/worker-routers.ts'
import { type MeasuredProxy, proxyCpu, type Stage, startOn, startStage } from './stage.ts'

/**
 * `npm run bench:neighbours` measures a JSON request and a stream of one dialect through the bare pipe, this router, nginx,
 * HAProxy, Envoy and, if `PORTKEY` names the start-server.js of Portkey, Portkey. All get the same number of requests per
 * second, half of the slowest one's maximum, and then their own maximum. LiteLLM (`LITELLM`), Bifrost (`BIFROST`), SMG (`SMG`)
 * and vllm-router (`VLLM_ROUTER`) are each compared separately with the pipe and the router, so that the pace of one does not
 * limit the others. With `-- --check`, each one only returns one response of each kind, which must equal the pipe's.
 */
const rounds = 5
const limitRounds = 3
const roundMs = 2_000
/** Until just-in-time compilation has finished. */
const warmMs = 8_000
/** A connection that waits longer than this for its next request might be closed: Node and uvicorn close it after 5 seconds. */
const longestTurnSeconds = 4
const cases = ['JSON, 1 KB in, 0.5 KB out', 'stream, OpenAI']

// Debian installs both in directories that only root's PATH contains.
process.env.PATH = `${process.env.PATH}:/usr/sbin`
const folder = mkdtempSync(join(tmpdir(), 'llm-router-bench-'))
const stage = await startStage()
const stops: (() => Promise<void>)[] = []
try {
  const neighbours = [
    await startServer({ name: 'nginx', config: nginxConfig, args: (file) => ['-p', folder, '-c', file] }),
    await startServer({ name: 'HAProxy', config: haproxyConfig, args: (file) => ['-db', '-f', file] }),
    await startServer({
      name: 'Envoy',
      program: process.env.ENVOY ?? 'envoy',
      config: envoyConfig,
      args: (file) => [
        '--config-path',
        file,
        '--concurrency',
        '1',
        '--use-dynamic-base-id',
        '--log-level',
        'error',
      ],
    }),
    await startPortkey(),
  ].filter((proxy) => proxy !== undefined)
  const groups = [neighbours]
  for (const gateway of [litellm, bifrost, smg, vllmRouter]) {
    const proxy = await startGateway(gateway, folder, stage.upstreamPorts)
    if (!proxy) continue
    // Ended with a signal, so that it also ends its own child processes.
    stops.push(() => proxy.child.stop('SIGTERM'))
    groups.push([proxy])
  }
  const isCheck = process.argv.includes('--check')
  if (isCheck) console.log('| case | proxy | answers as the bare pipe does |\n|---|---|---|')
  else
    console.log(
      '| case | proxy | requests/s | CPU (µs) | of the bare pipe | of this router | at its own limit (µs) | of this router |\n|---|---|--:|--:|--:|--:|--:|--:|',
    )
  for (const name of cases) {
    const benchCase = benchCases.find((each) => each.name === name)
    if (!benchCase) continue
    if (isCheck) for (const proxy of groups.flat()) await check(benchCase, proxy)
    else for (const group of groups) await compare(benchCase, [stage.pipe, stage.router, ...group])
  }
} finally {
  for (const stop of stops) await stop()
  await stage.close()
  rmSync(folder, { recursive: true })
}

async function check(benchCase: BenchCase, proxy: MeasuredProxy): Promise<void> {
  const verdict = await expectSameWords(proxy, stage.pipe, benchCase).then(
    () => 'yes',
    (error: unknown) => String(error).split('\n')[0],
  )
  console.log(`| ${benchCase.name} | ${proxy.name} | ${verdict} |`)
}

async function compare(benchCase: BenchCase, proxies: readonly MeasuredProxy[]): Promise<void> {
  const able: MeasuredProxy[] = []
  const most: number[] = []
  for (const proxy of proxies) {
    try {
      await expectSameWords(proxy, stage.pipe, benchCase)
      await stage.load(proxy, benchCase, warmMs)
      const { requests, seconds } = await stage.load(proxy, benchCase, roundMs)
      most.push(requests / seconds)
      able.push(proxy)
    } catch (error) {
      console.log(`| ${benchCase.name} | ${proxy.name} | ${String(error).split('\n')[0]} | | | | | |`)
    }
  }
  const perSecond = Math.min(...most) / 2
  const same = await costsOf(stage, able, { benchCase, perSecond, rounds })
  const limit = await costsOf(stage, able, { benchCase, perSecond: 0, rounds: limitRounds })
  const ratio = (costs: Costs, proxy: MeasuredProxy, other: MeasuredProxy): string => {
    const others = costs.get(other) ?? []
    return median((costs.get(proxy) ?? []).map((cost, round) => cost / (others[round] ?? 1))).toFixed(2)
  }
  for (const proxy of able) {
    const cells = [
      benchCase.name,
      proxy.name,
      perSecond.toFixed(0),
      median(same.get(proxy) ?? []).toFixed(0),
      ratio(same, proxy, stage.pipe),
      ratio(same, proxy, stage.router),
      median(limit.get(proxy) ?? []).toFixed(0),
      ratio(limit, proxy, stage.router),
    ]
    console.log(`| ${cells.join(' | ')} |`)
  }
}

/** In microseconds, for each round. */
type Costs = ReadonlyMap<MeasuredProxy, number[]>

interface Turns {
  benchCase: BenchCase
  /** 0: no limit. */
  perSecond: number
  rounds: number
}

async function costsOf(on: Stage, proxies: readonly MeasuredProxy[], turns: Turns): Promise<Costs> {
  const { benchCase, perSecond } = turns
  const costs = new Map<MeasuredProxy, number[]>(proxies.map((proxy) => [proxy, []]))
  const fewest = perSecond === 0 ? benchCase.concurrency : Math.ceil(perSecond * longestTurnSeconds)
  const concurrency = Math.min(benchCase.concurrency, fewest)
  for (let round = 0; round < turns.rounds; round++) {
    for (const proxy of proxies) {
      const before = processorTimeUs(proxy.child.pid)
      const { requests } = await on.load(proxy, { ...benchCase, concurrency }, roundMs, perSecond)
      costs.get(proxy)?.push((processorTimeUs(proxy.child.pid) - before) / requests)
    }
  }
  return costs
}

type Ports = Record<'openaiWhole' | 'openaiStream', { own: number; upstream: number }>

interface Server {
  name: string
  /** By default its name in lower case. */
  program?: string
  config(ports: Ports): string
  args(file: string): string[]
}

async function startServer({
  name,
  program = name.toLowerCase(),
  config,
  args,
}: Server): Promise<MeasuredProxy | undefined> {
  if (spawnSync(program, ['--version']).error) {
    console.log(`${name} is not here: see bench/README.md`)
    return undefined
  }
  const { openaiWhole, openaiStream } = stage.upstreamPorts
  const ports: Ports = {
    openaiWhole: { own: await freePort(), upstream: openaiWhole },
    openaiStream: { own: await freePort(), upstream: openaiStream },
  }
  const file = join(folder, `${name}.json`)
  writeFileSync(file, config(ports))
  const { child } = await startOn(proxyCpu, [program, ...args(file)], () => listening(ports.openaiWhole.own))
  stops.push(() => child.stop('SIGTERM')) // if killed, nginx would leave its worker behind, which keeps our pipe open
  return {
    name,
    child,
    portOf: (upstream) => (upstream === 'openaiStream' ? ports.openaiStream.own : ports.openaiWhole.own),
    bare: true,
    pingPath: '',
    forgetLog: () => undefined,
  }
}

function nginxConfig(ports: Ports): string {
  const servers = Object.values(ports).map(
    ({ own, upstream }, index) => `upstream u${index} { server 127.0.0.1:${upstream}; keepalive 64; }
server { listen 127.0.0.1:${own}; location / { proxy_pass http://u${index}; proxy_http_version 1.1;
proxy_set_header Connection ""; proxy_buffering off; client_max_body_size 64m; } }`,
  )
  return `daemon off; worker_processes 1; pid ${folder}/nginx.pid; error_log stderr;
events { worker_connections 1024; }
http { access_log ${folder}/access.log; client_body_temp_path ${folder}/body; proxy_temp_path ${folder}/proxy;
fastcgi_temp_path ${folder}/f; uwsgi_temp_path ${folder}/u; scgi_temp_path ${folder}/s;
keepalive_requests 1000000; ${servers.join('\n')} }\n`
}

function haproxyConfig(ports: Ports): string {
  const parts = Object.entries(ports).map(
    ([name, { own, upstream }]) =>
      `listen ${name}\n  bind 127.0.0.1:${own}\n  server s 127.0.0.1:${upstream}\n`,
  )
  return `global\n  nbthread 1\n  log stderr local0 emerg\ndefaults\n  mode http\n  option http-no-delay\n  http-reuse always\n  timeout connect 5s
  timeout client 60s\n  timeout server 60s\n${parts.join('')}`
}

/** No access log, as for HAProxy; no limit on connections or requests. */
function envoyConfig(ports: Ports): string {
  const type = (name: string): string => `type.googleapis.com/envoy.extensions.${name}`
  const address = (port: number): object => ({ socket_address: { address: '127.0.0.1', port_value: port } })
  const connectionManager = (cluster: string): object => ({
    '@type': type('filters.network.http_connection_manager.v3.HttpConnectionManager'),
    stat_prefix: cluster,
    route_config: {
      virtual_hosts: [
        { name: 'all', domains: ['*'], routes: [{ match: { prefix: '/' }, route: { cluster } }] },
      ],
    },
    http_filters: [{ name: 'router', typed_config: { '@type': type('filters.http.router.v3.Router') } }],
  })
  const listeners = Object.entries(ports).map(([name, { own }]) => ({
    name,
    address: address(own),
    filter_chains: [{ filters: [{ name: 'http', typed_config: connectionManager(name) }] }],
  }))
  const clusters = Object.entries(ports).map(([name, { upstream }]) => ({
    name,
    type: 'STATIC',
    connect_timeout: '5s',
    load_assignment: {
      cluster_name: name,
      endpoints: [{ lb_endpoints: [{ endpoint: { address: address(upstream) } }] }],
    },
  }))
  return JSON.stringify({ static_resources: { listeners, clusters } })
}

/** Selects the upstream by headers of each request. */
async function startPortkey(): Promise<MeasuredProxy | undefined> {
  const program = process.env.PORTKEY
  if (!program) {
    console.log('PORTKEY is not set: see bench/README.md')
    return undefined
  }
  const port = await freePort()
  const command = [process.execPath, program, '--headless', `--port=${port}`]
  const { child } = await startOn(proxyCpu, command, () => listening(port))
  stops.push(() => child.stop())
  const headersFor = (upstreamPort: number): Record<string, string> => ({
    'x-portkey-provider': 'openai',
    'x-portkey-custom-host': `http://127.0.0.1:${upstreamPort}/v1`,
    authorization: 'Bearer k',
  })
  return {
    name: 'Portkey',
    child,
    portOf: () => port,
    headersFor: (upstream) => headersFor(stage.upstreamPorts[upstream]),
    bare: true,
    pingPath: '',
    forgetLog: () => undefined,
  }
}
