import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { pino } from 'pino'
import { requestLog } from '../../../src/plugins/exchange/request-log.ts'
import type { ExchangeRecord } from '../../../src/relay/exchange-record.ts'
import { RouterError } from '../../../src/sdk/errors.ts'

const record: ExchangeRecord = {
  id: 'req-1',
  method: 'POST',
  endpoint: '/v1/chat/completions',
  status: 200,
  outcome: 'success',
  durationMs: 12.345,
  dialect: 'openai',
  model: 'gemma',
  answeringModel: undefined,
  target: 'box-1',
  providerType: 'vllm',
  client: undefined,
  key: undefined,
  work: [],
  estimatedTokens: () => ({ prompt: 0, maxCompletion: 0 }),
  sinceSentMs: undefined,
  stream: false,
  attempts: 1,
  ownMs: 1,
  firstContentMs: 10,
  usage: { promptTokens: 7, completionTokens: 3 },
  dropped: [],
  error: undefined,
  requestBytes: 100,
  responseBytes: 200,
  trace: undefined,
}

const ids = { pid: 1, hostname: 'host-1' }

/** The lines that a logger of this level writes for the records. */
function linesOf(records: readonly ExchangeRecord[], level = 'info'): unknown[] {
  const lines: unknown[] = []
  const stream = { write: (line: string) => lines.push(JSON.parse(line)) }
  const formatters = { level: (label: string) => ({ level: label }) }
  const logger = pino({ level, base: ids, timestamp: () => ',"time":"now"', formatters }, stream)
  const log = requestLog(logger)
  for (const each of records) log(each)
  return lines
}

const common = {
  level: 'info',
  time: 'now',
  ...ids,
  request_id: 'req-1',
  method: 'POST',
  endpoint: '/v1/chat/completions',
  status: 200,
  outcome: 'success',
  duration_ms: 12.3,
  dialect: 'openai',
  model: 'gemma',
  target: 'box-1',
  provider_type: 'vllm',
  stream: false,
  first_content_ms: 10,
  prompt_tokens: 7,
  completion_tokens: 3,
  msg: 'request',
}

test('the log line of a successful request has what is known, and no more', () => {
  assert.deepEqual(linesOf([record]), [common])
})

test('attempts, fallback, client, trace and dropped fields are logged when there are any', () => {
  const trace = {
    traceId: 'a'.repeat(32),
    spanId: 'b'.repeat(16),
    beginAttempt: () => assert.fail('no attempt'),
  }
  const [line] = linesOf([
    { ...record, attempts: 3, answeringModel: 'qwen', client: 'team', dropped: ['logit_bias', 'n'], trace },
  ])
  assert.deepEqual(line, {
    ...common,
    trace_id: 'a'.repeat(32),
    span_id: 'b'.repeat(16),
    attempts: 3,
    answered_by: 'qwen',
    client: 'team',
    dropped: ['logit_bias', 'n'],
  })
})

test('the documentation describes every field of the line', () => {
  const full: Required<ExchangeRecord> = {
    ...record,
    client: 'team',
    answeringModel: 'qwen',
    attempts: 2,
    reason: 'least loaded',
    operation: 'chat',
    auto: { by: 'size', model: 'gemma' },
    unknownReason: 'odd',
    cache: 'miss',
    dropped: ['n'],
    processed: {
      steps: [{ processor: 'masking', outcome: 'changed', durationMs: 1, values: 1 }],
      restored: 1,
      unknown: 0,
    },
    trace: { traceId: 'a'.repeat(32), spanId: 'b'.repeat(16), beginAttempt: () => assert.fail('no attempt') },
    error: Object.assign(
      new RouterError('upstream_error', 'It failed', { code: 'broken', causeCode: 'EPIPE' }),
      {
        upstreamText: 'no memory',
      },
    ),
  }
  const page = readFileSync(join(import.meta.dirname, '../../../docs/behaviour.md'), 'utf8')
  const [table = ''] = /(?<=^## The log\n)(?:(?!^## ).*\n)*/m.exec(page) ?? []
  const described = [...table.matchAll(/^\|([^|]*)\|/gm)].flatMap(([, names = '']) =>
    [...names.matchAll(/`(\w+)`/g)].map(([, name]) => name),
  )
  const {
    level: _level,
    time: _time,
    pid: _pid,
    hostname: _host,
    msg: _msg,
    ...fields
  } = Object(linesOf([full])[0])
  assert.deepEqual(described.toSorted(), Object.keys(fields).toSorted())
})

test('names with special characters are logged unchanged', () => {
  const name = 'a "model"\\ of\n\u2028 żółw \ud800'
  const [line] = linesOf([{ ...record, model: name, target: name }])
  assert.deepEqual(line, { ...common, model: name, target: name })
})

test('a failed request is logged as a warning, with the error but not the message of the upstream', () => {
  const shown = new RouterError('upstream_error', 'It "failed"', { code: 'broken', causeCode: 'ECONNRESET' })
  const quoted = new RouterError('upstream_error', 'prompt', { code: 'broken', quotesUpstream: true })
  const failed = { ...record, status: 502, outcome: 'error', usage: undefined } as const
  const { prompt_tokens: _prompt, completion_tokens: _completion, ...rest } = common
  const expected = { ...rest, level: 'warn', status: 502, outcome: 'error', error_code: 'broken' }
  assert.deepEqual(
    linesOf([
      { ...failed, error: shown },
      { ...failed, error: quoted },
    ]),
    [{ ...expected, error: 'It "failed"', error_cause: 'ECONNRESET' }, expected],
  )
})

test('a request of which little is known is logged too', () => {
  const nothing = { dialect: undefined, model: undefined, target: undefined, providerType: undefined }
  const missing = {
    ...record,
    ...nothing,
    firstContentMs: undefined,
    usage: undefined,
    endpoint: 'unmatched',
  }
  const { level, time, pid, hostname, request_id, method, status, outcome, duration_ms, msg } = common
  const known = { level, time, pid, hostname, request_id, method, status, outcome, duration_ms, msg }
  assert.deepEqual(linesOf([missing]), [{ ...known, endpoint: 'unmatched' }])
})

test('a silent logger writes no line', () => {
  assert.deepEqual(linesOf([record], 'warn'), [])
})
