import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { describe, it } from 'node:test'
import { anthropic } from '../../../src/dialects/anthropic/index.ts'
import { ollama } from '../../../src/dialects/ollama/index.ts'
import { openai } from '../../../src/dialects/openai/index.ts'
import type { Dialect } from '../../../src/sdk/dialect.ts'
import { context, cutAt } from '../shared/codec.ts'

function fixture(path: string): Buffer {
  return readFileSync(new URL(`../../fixtures/${path}`, import.meta.url))
}

/** What a client of the second dialect receives for a stream of the first. The relay reports the error itself. */
function translated(pieces: readonly Buffer[], from: Dialect, to: Dialect): string {
  const reader = from.chat.createReader()
  const writer = to.chat.createWriter(context)
  let out = ''
  const take = (event: Parameters<typeof writer.write>[0]): void => {
    if (event.type !== 'error') out += writer.write(event)
  }
  for (const piece of pieces) reader.push(piece, take)
  reader.end(take)
  return out
}

function sameAtEveryCut(path: string, from: Dialect, to: Dialect): string {
  const bytes = fixture(path)
  const whole = translated([bytes], from, to)
  for (let at = 0; at <= bytes.length; at++)
    assert.equal(translated(cutAt(bytes, at), from, to), whole, `cut at ${at}`)
  return whole
}

/** The data of events, or the lines of NDJSON. */
function valuesOf(text: string): Record<string, unknown>[] {
  const lines = text.split('\n').filter((line) => line.startsWith('data: {') || line.startsWith('{'))
  return lines.map((line) => JSON.parse(line.replace(/^data: /, '')))
}

/** The events except `message_start`, which has its own tests, as `type` and content. */
function saidBy(text: string): unknown[] {
  return valuesOf(text)
    .slice(1)
    .map(({ type, index, content_block: head, delta }) => {
      const said = Object(delta ?? head)
      const { type: _type, input: _input, stop_details: _details, ...words } = said
      return [type, ...(index === undefined ? [] : [index]), ...Object.values(words)]
    })
}

describe('streams of other dialects for an Anthropic client', () => {
  it('interleaved parallel calls of an OpenAI stream become consecutive blocks', () => {
    assert.deepEqual(saidBy(sameAtEveryCut('openai/tools.sse', openai, anthropic)), [
      ['content_block_start', 0, 'call_a', 'get_weather'],
      ['content_block_delta', 0, '{"city":'],
      ['content_block_delta', 0, '"Łódź"}'],
      ['content_block_stop', 0],
      ['content_block_start', 1, 'call_b', 'get_time'],
      ['content_block_delta', 1, '{}'],
      ['content_block_stop', 1],
      ['message_delta', 'tool_use', null],
      ['message_stop'],
    ])
  })

  it('the reasoning of an OpenAI stream becomes a block before the text', () => {
    assert.deepEqual(saidBy(sameAtEveryCut('openai/reasoning.sse', openai, anthropic)), [
      ['content_block_start', 0, '', ''],
      ['content_block_delta', 0, 'plan '],
      ['content_block_delta', 0, 'it'],
      ['content_block_stop', 0],
      ['content_block_start', 1, ''],
      ['content_block_delta', 1, 'Hi'],
      ['content_block_delta', 1, '!'],
      ['content_block_stop', 1],
      ['message_delta', 'max_tokens', null],
      ['message_stop'],
    ])
  })

  it('an OpenAI stream that fails has no end event for an Anthropic client', () => {
    const out = sameAtEveryCut('openai/error-vllm.sse', openai, anthropic)
    assert.match(out, /content_block_delta/)
    assert.doesNotMatch(out, /message_delta|message_stop/)
  })

  it('an Ollama stream is translated with its reasoning, its text and the counts of its last line', () => {
    const values = valuesOf(sameAtEveryCut('ollama/thinking.ndjson', ollama, anthropic))
    const kinds = values
      .filter(({ type }) => type === 'content_block_start')
      .map((each) => each.content_block)
    assert.deepEqual(kinds, [
      { type: 'thinking', thinking: '', signature: '' },
      { type: 'text', text: '' },
    ])
    const last = valuesOf(fixture('ollama/thinking.ndjson').toString()).at(-1)
    const usage = Object(values.find(({ type }) => type === 'message_delta')?.usage)
    assert.equal(usage.input_tokens, last?.prompt_eval_count)
    assert.equal(usage.output_tokens, last?.eval_count)
  })

  it('two calls on one line of an Ollama stream become two blocks', () => {
    const said = saidBy(sameAtEveryCut('ollama/two-calls-one-line.ndjson', ollama, anthropic))
    const starts = said.filter((each) => Array.isArray(each) && each[0] === 'content_block_start')
    assert.equal(starts.length, 2)
    assert.deepEqual(said.slice(-2), [['message_delta', 'tool_use', null], ['message_stop']])
  })
})

describe('an Anthropic stream for clients of other dialects', () => {
  it('an Anthropic stream becomes OpenAI deltas, a finish, the token counts and the end marker', () => {
    const out = sameAtEveryCut('anthropic/thinking-tools.sse', anthropic, openai)
    assert.ok(out.endsWith('data: [DONE]\n\n'))
    assert.doesNotMatch(out, /ping|event:/)
    const chunks = valuesOf(out)
    const choices = chunks.flatMap(({ choices: all }) => (Array.isArray(all) ? all : []))
    const said = (name: string) => choices.map((choice) => choice.delta[name] ?? '').join('')
    assert.equal(said('content'), 'Let me look.')
    assert.equal(said('reasoning_content'), 'plan it')
    const calls = choices.flatMap((choice) => choice.delta.tool_calls ?? [])
    const jsonOf = (index: number) =>
      calls.map((call) => (call.index === index ? call.function.arguments : '')).join('')
    assert.deepEqual([jsonOf(0), jsonOf(1)], ['{"city":"Łódź"}', '{}'])
    assert.deepEqual(choices.map((choice) => choice.finish_reason).filter(Boolean), ['tool_calls'])
    assert.deepEqual(chunks.at(-1)?.usage, {
      prompt_tokens: 9,
      completion_tokens: 30,
      total_tokens: 39,
      prompt_tokens_details: { cached_tokens: 0 },
      completion_tokens_details: { reasoning_tokens: 4 },
    })
  })

  it('an Anthropic stream becomes whole Ollama calls and a last line that counts the whole prompt', () => {
    const lines = valuesOf(sameAtEveryCut('anthropic/thinking-tools.sse', anthropic, ollama))
    const calls = lines.flatMap(({ message }) => Object(message).tool_calls ?? [])
    assert.deepEqual(calls, [
      { id: 'toolu_a', function: { index: 0, name: 'get_weather', arguments: { city: 'Łódź' } } },
      { id: 'toolu_b', function: { index: 1, name: 'get_time', arguments: {} } },
    ])
    assert.deepEqual([lines.at(-1)?.done, lines.at(-1)?.done_reason], [true, 'stop'])
    const text = valuesOf(sameAtEveryCut('anthropic/text.sse', anthropic, ollama))
    assert.deepEqual([text.at(-1)?.prompt_eval_count, text.at(-1)?.eval_count], [32, 7])
  })

  it('an Anthropic stream that fails has no end for other clients', () => {
    assert.doesNotMatch(sameAtEveryCut('anthropic/error.sse', anthropic, openai), /DONE|"finish_reason":"/)
    assert.doesNotMatch(sameAtEveryCut('anthropic/error.sse', anthropic, ollama), /"done":true/)
  })
})

describe('whole responses', () => {
  const message = {
    id: 'msg_up1',
    type: 'message',
    role: 'assistant',
    model: 'up',
    content: [
      { type: 'text', text: 'Look.' },
      { type: 'tool_use', id: 'toolu_a', name: 'f', input: { a: 1 } },
    ],
    stop_reason: 'tool_use',
    stop_sequence: null,
    usage: { input_tokens: 9, cache_read_input_tokens: 20, output_tokens: 3 },
  }

  it('a whole Anthropic response is the same after translation to OpenAI or Ollama and back', () => {
    for (const other of [openai, ollama]) {
      const there = other.chat.writeResponse(anthropic.chat.readResponse(message), context)
      const back = anthropic.chat.writeResponse(other.chat.readResponse(there), context)
      assert.deepEqual(back.content, message.content, other.name)
      assert.equal(back.stop_reason, 'tool_use')
      const { input_tokens: input, cache_read_input_tokens: cached } = Object(back.usage)
      assert.equal(input + cached, 29)
    }
  })
})
