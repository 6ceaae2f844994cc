import assert from 'node:assert/strict'
import { test } from 'node:test'
import { terminalLine } from '../../src/runtime/terminal-line.ts'

function shown(fields: Record<string, unknown>): string | undefined {
  return terminalLine(JSON.stringify({ level: 'info', time: '2026-11-30T10:00:00.000Z', ...fields }), {
    isColored: false,
  })?.replace(/^\d\d:\d\d:\d\d /, '')
}

const request = {
  msg: 'request',
  method: 'POST',
  endpoint: '/v1/chat/completions',
  status: 200,
  duration_ms: 698.7,
}

test('a request is one line with its model, server and tokens', () => {
  const tokens = { prompt_tokens: 26, completion_tokens: 21 }
  assert.equal(
    shown({ ...request, model: 'llama3.1:8b', target: 'box1', ...tokens }),
    'POST /v1/chat/completions 200 699 ms llama3.1:8b > box1 26+21 tok\n',
  )
  assert.equal(
    shown({ ...request, status: 502, model: 'm', target: 'b', attempts: 3, error: 'The upstream failed' }),
    'POST /v1/chat/completions 502 699 ms m > b 3 attempts (The upstream failed)\n',
  )
})

test('the shutdown message says what it waits for', () => {
  const stopping = { msg: 'stopping', signal: 'SIGINT', running: 3, drain_timeout_s: 300 }
  assert.equal(shown(stopping), 'waiting for 3 responses, up to 5 min; Ctrl-C again to stop now\n')
  assert.equal(shown({ ...stopping, running: 0 }), 'stopping\n')
})

test('what the start message has shown is not repeated, and other lines stay unchanged', () => {
  assert.equal(shown({ msg: 'listening' }), '')
  assert.equal(shown({ msg: 'models-config.json reloaded' }), undefined)
})
