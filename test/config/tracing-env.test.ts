import assert from 'node:assert/strict'
import { test } from 'node:test'
import { loadConfig } from '../../src/config/settings/settings.ts'
import { readTracing } from '../../src/config/settings/tracing.ts'

const endpoint = { OTEL_EXPORTER_OTLP_ENDPOINT: 'http://collector:4318' }

test('without an endpoint tracing is disabled, whatever else is set', () => {
  const rest = { OTEL_SERVICE_NAME: 'x', OTEL_TRACES_EXPORTER: 'otlp', OTEL_TRACES_SAMPLER: 'nonsense' }
  for (const env of [{}, rest, { OTEL_EXPORTER_OTLP_ENDPOINT: '  ' }]) {
    assert.deepEqual(readTracing(env), { warnings: [] })
  }
})

test('an endpoint enables tracing: all traces are kept, unless a client decides otherwise', () => {
  assert.deepEqual(readTracing(endpoint), {
    settings: {
      url: 'http://collector:4318/v1/traces',
      sampler: 'parentbased_always_on',
      ratio: 1,
      batch: {},
    },
    warnings: [],
  })
})

test('the endpoint for all signals gets the path of traces, the one for traces is used unchanged', () => {
  const urlOf = (env: Record<string, string>) => readTracing(env).settings?.url
  assert.equal(urlOf({ OTEL_EXPORTER_OTLP_ENDPOINT: 'https://host/otlp/' }), 'https://host/otlp/v1/traces')
  const traces = { OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: 'http://other:9/in' }
  assert.equal(urlOf(traces), 'http://other:9/in')
  assert.equal(urlOf({ ...endpoint, ...traces }), 'http://other:9/in')
})

test('OTEL_SDK_DISABLED and OTEL_TRACES_EXPORTER=none disable tracing', () => {
  for (const off of [{ OTEL_SDK_DISABLED: 'TRUE' }, { OTEL_TRACES_EXPORTER: 'none' }]) {
    assert.deepEqual(readTracing({ ...endpoint, ...off }), { warnings: [] })
  }
  assert.ok(readTracing({ ...endpoint, OTEL_SDK_DISABLED: 'false' }).settings)
})

test('unsupported settings are reported at the start and disable tracing', () => {
  const cases: [Record<string, string>, RegExp][] = [
    [
      { OTEL_EXPORTER_OTLP_PROTOCOL: 'grpc' },
      /^OTEL_EXPORTER_OTLP_PROTOCOL: .*http\/protobuf.*4318.*nothing/,
    ],
    [{ OTEL_EXPORTER_OTLP_TRACES_PROTOCOL: 'http/json' }, /^OTEL_EXPORTER_OTLP_TRACES_PROTOCOL: /],
    [{ OTEL_TRACES_EXPORTER: 'zipkin' }, /^OTEL_TRACES_EXPORTER: the only exporter is otlp/],
    [{ OTEL_EXPORTER_OTLP_ENDPOINT: 'collector:4318' }, /^OTEL_EXPORTER_OTLP_ENDPOINT is not an address/],
  ]
  for (const [env, words] of cases) {
    const { settings, warnings } = readTracing({ ...endpoint, ...env })
    assert.equal(settings, undefined)
    assert.equal(warnings.length, 1)
    assert.match(String(warnings[0]), words)
    assert.deepEqual(loadConfig({ ...endpoint, ...env }).warnings, warnings)
  }
})

test('the protocol for traces overrides the one for all signals', () => {
  const both = { OTEL_EXPORTER_OTLP_PROTOCOL: 'grpc', OTEL_EXPORTER_OTLP_TRACES_PROTOCOL: 'http/protobuf' }
  assert.ok(readTracing({ ...endpoint, ...both }).settings)
})

test('the sampler, its ratio and the batch sizes are read', () => {
  const { settings, warnings } = readTracing({
    ...endpoint,
    OTEL_TRACES_SAMPLER: 'traceidratio',
    OTEL_TRACES_SAMPLER_ARG: '0.25',
    OTEL_BSP_SCHEDULE_DELAY: '100',
    OTEL_BSP_MAX_QUEUE_SIZE: '10',
  })
  assert.deepEqual(warnings, [])
  assert.deepEqual([settings?.sampler, settings?.ratio], ['traceidratio', 0.25])
  assert.deepEqual(settings?.batch, { scheduledDelayMillis: 100, maxQueueSize: 10 })
})

test('an invalid sampler, ratio or size is reported and ignored', () => {
  const { settings, warnings } = readTracing({
    ...endpoint,
    OTEL_TRACES_SAMPLER: 'parentbased_traceidratio',
    OTEL_TRACES_SAMPLER_ARG: '1.5',
    OTEL_BSP_MAX_QUEUE_SIZE: '-1',
  })
  assert.deepEqual([settings?.sampler, settings?.ratio, settings?.batch], ['parentbased_traceidratio', 1, {}])
  assert.match(warnings.join(), /^OTEL_TRACES_SAMPLER_ARG .*,OTEL_BSP_MAX_QUEUE_SIZE /)
  const unknown = readTracing({ ...endpoint, OTEL_TRACES_SAMPLER: 'jaeger_remote' })
  assert.equal(unknown.settings?.sampler, 'parentbased_always_on')
  assert.match(String(unknown.warnings[0]), /^OTEL_TRACES_SAMPLER is not one of: always_on, /)
})
