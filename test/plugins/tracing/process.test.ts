import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { post } from '../../helpers/http.ts'
import { messages } from '../../helpers/messages.ts'
import { modelsConfig } from '../../helpers/models-config.ts'
import { startRouterProcess } from '../../helpers/router-process.ts'
import { startCollector } from '../../helpers/tracing/trace-collector.ts'

const models = modelsConfig({ demo: [{ id: 'demo', api_type: 'mock' }] })
const body = { model: 'demo', messages }

/** Node's option to refuse every module of OpenTelemetry. The Prometheus client only loads its API, without an SDK. */
const withoutOpenTelemetry = `--import ${dataModule(`
  import { registerHooks } from 'node:module'
  registerHooks({
    resolve(name, context, next) {
      const isOurs = !String(context.parentURL).includes('/@prometheus-io/')
      if (name.includes('@opentelemetry/') && isOurs) throw new Error('OpenTelemetry was asked for')
      return next(name, context)
    },
  })
`)}`

function dataModule(code: string): string {
  return `data:text/javascript;base64,${Buffer.from(code).toString('base64')}`
}

async function start(t: TestContext, env: Record<string, string>) {
  const router = await startRouterProcess({ env, models })
  t.after(() => router.stop())
  return router
}

test('without an endpoint no module of OpenTelemetry is loaded', async (t) => {
  const router = await start(t, { NODE_OPTIONS: withoutOpenTelemetry, OTEL_SERVICE_NAME: 'x' })
  const { status } = await post(`${router.url}/v1/chat/completions`, body)
  assert.equal(status, 200)
  await assert.rejects(
    start(t, { NODE_OPTIONS: withoutOpenTelemetry, OTEL_EXPORTER_OTLP_ENDPOINT: 'http://127.0.0.1:9' }),
    /OpenTelemetry was asked for/,
    'the option works',
  )
})

test('every process of a cluster uses the OpenTelemetry variables, and sends its own spans, the last ones at its exit', async (t) => {
  const collector = await startCollector()
  t.after(() => collector.close())
  const router = await start(t, {
    OTEL_EXPORTER_OTLP_ENDPOINT: collector.url,
    OTEL_EXPORTER_OTLP_HEADERS: 'x-tenant=team%20a',
    OTEL_SERVICE_NAME: 'gateway',
    OTEL_RESOURCE_ATTRIBUTES: 'deployment.environment.name=test,service.name=loses',
    OTEL_BSP_SCHEDULE_DELAY: '600000',
    LLM_ROUTER_SERVER_TYPE: 'cluster',
    LLM_ROUTER_SERVER_WORKERS_COUNT: '2',
  })
  await router.listening(2)
  const workers = new Set<unknown>()
  let sent = 0
  // Any worker may get the connection.
  while (workers.size < 2 && sent < 200) {
    const id = `of-${sent++}`
    const { status } = await post(`${router.url}/v1/chat/completions`, body, {
      'content-type': 'application/json',
      connection: 'close',
      'x-request-id': id,
    })
    assert.equal(status, 200)
    workers.add((await router.logged(({ request_id: logged }) => logged === id)).pid)
  }
  assert.equal(workers.size, 2)
  assert.equal(collector.spans.length, 0)
  router.child.kill('SIGTERM')
  assert.equal(await router.exit, 0)
  assert.deepEqual(
    new Map(
      Object.entries(Object.groupBy(collector.spans, ({ kind, name }) => `${kind} ${name}`)).map(
        ([name, spans]) => [name, spans?.length],
      ),
    ),
    new Map([
      ['client chat demo', sent],
      ['server POST /v1/chat/completions', sent],
    ]),
  )
  for (const headers of collector.headers) assert.equal(headers['x-tenant'], 'team a')
  for (const { resource } of collector.spans) {
    assert.equal(resource['service.name'], 'gateway')
    assert.equal(resource['deployment.environment.name'], 'test')
    assert.match(String(resource['service.version']), /^\d+\.\d+\.\d+/)
    assert.match(String(resource['service.instance.id']), /^[0-9a-f-]{36}$/)
  }
  assert.equal(new Set(collector.spans.map(({ resource }) => resource['service.instance.id'])).size, 2)
})

test('an unsupported protocol is reported at the start', async (t) => {
  const router = await start(t, {
    OTEL_EXPORTER_OTLP_ENDPOINT: 'http://127.0.0.1:4317',
    OTEL_EXPORTER_OTLP_PROTOCOL: 'grpc',
  })
  const line = await router.logged(({ msg }) => String(msg).startsWith('OTEL_EXPORTER_OTLP_PROTOCOL'))
  assert.equal(line.level, 'warn')
})
