import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { ask, assertOk, type Json, startRig } from '../helpers/dialect-clients.ts'
import { openaiChunk, openaiDone, openaiEvent, openaiText } from '../helpers/scripted-upstream.ts'

let rig: Awaited<ReturnType<typeof startRig>>

before(async () => {
  rig = await startRig(openaiText('unused'))
})
after(() => rig.close())

function counted(usage: object, rest: object = {}): void {
  const { body } = openaiText('Hi') as { body: Json }
  const counts = { prompt_tokens: 9, completion_tokens: 3, total_tokens: 12, ...usage }
  rig.upstream.rescript({ kind: 'reply', body: { ...body, usage: counts, ...rest } })
}

describe('counts of cached tokens', () => {
  test('counts of cached tokens are read under the names of each vendor', async () => {
    for (const usage of [
      { prompt_tokens_details: { cached_tokens: 4 } },
      { prompt_cache_hit_tokens: 4, prompt_cache_miss_tokens: 5 },
      { cached_tokens: 4 },
      { cache_read_input_tokens: 4 },
    ]) {
      counted(usage)
      const anthropic = await ask(rig, 'anthropic', 'vllm')
      assert.equal(anthropic.json.usage.cache_read_input_tokens, 4, JSON.stringify(usage))
      assert.equal(anthropic.json.usage.input_tokens, 5)
      const responses = await ask(rig, 'responses', 'vllm')
      assert.equal(responses.json.usage.input_tokens_details.cached_tokens, 4)
    }
  })

  test('counts of tokens written to the cache are read under the names of each vendor', async () => {
    for (const details of [{ created_cache_tokens: 6 }, { cache_write_tokens: 6 }]) {
      counted({ prompt_tokens_details: { cached_tokens: 2, ...details } })
      const { json } = await ask(rig, 'anthropic', 'vllm')
      assert.deepEqual(
        [json.usage.cache_creation_input_tokens, json.usage.cache_read_input_tokens, json.usage.input_tokens],
        [6, 2, 1],
      )
    }
  })
})

describe('engine fields beside the token counts', () => {
  const timings = { prompt_ms: 20, predicted_ms: 30, predicted_per_second: 33 }
  const usage = { prompt_tokens: 9, completion_tokens: 3, total_tokens: 12 }

  function streamed(last: object, first: object = {}): void {
    const chunk = openaiEvent({
      choices: [{ index: 0, delta: { content: 'Hi' }, finish_reason: null }],
      ...first,
    })
    const end = openaiEvent({ choices: [], usage, ...last })
    rig.upstream.rescript({ kind: 'stream', pieces: [chunk, openaiChunk({}, 'stop'), end, openaiDone] })
  }

  test('engine timings reach a client that did not request token counts, without the counts', async () => {
    streamed({ timings, system_fingerprint: 'b1' })
    const { events, text } = await ask(rig, 'openai', 'llamacpp', { stream: true })
    const last = events.at(-1)
    assert.deepEqual([last.timings, last.system_fingerprint, last.model], [timings, 'b1', 'llamacpp'])
    assert.deepEqual(last.choices[0].delta, {})
    assert.equal('usage' in last, false)
    assert.ok(text.endsWith('data: [DONE]\n\n'))
  })

  test('engine fields that add nothing new get no chunk of their own', async () => {
    streamed({ system_fingerprint: 'b1' }, { system_fingerprint: 'b1' })
    const { events } = await ask(rig, 'openai', 'llamacpp', { stream: true })
    assert.equal(events.length, 2)
  })

  test('Ollama clients get the durations that the engine measured', async () => {
    counted({}, { timings })
    const { json } = await ask(rig, 'ollama', 'llamacpp')
    assert.deepEqual([json.prompt_eval_duration, json.eval_duration], [20_000_000, 30_000_000])
    streamed({ timings })
    const { events } = await ask(rig, 'ollama', 'llamacpp', { stream: true })
    assert.deepEqual(
      [events.at(-1).prompt_eval_duration, events.at(-1).eval_duration],
      [20_000_000, 30_000_000],
    )
  })
})

test('prompt_cache_key and verbosity are sent where supported; client metadata is not reported as dropped', async () => {
  rig.upstream.rescript(openaiText('ok'))
  const body = { prompt_cache_key: 'k', text: { verbosity: 'low' }, client_metadata: { session: 'x' } }
  const vllm = await ask(rig, 'responses', 'vllm', body)
  assertOk(vllm)
  assert.equal(vllm.lost, 'verbosity')
  assert.equal('prompt_cache_key' in rig.sent(), false)
  const openai = await ask(rig, 'responses', 'chatonly', body)
  assertOk(openai)
  assert.equal(openai.lost, '')
  assert.deepEqual([rig.sent().prompt_cache_key, rig.sent().verbosity], ['k', 'low'])
})

describe('surrogate pairs that are split between chunks', () => {
  const high = '\ud83d'
  const low = '\ude00'

  async function said(texts: string[], dialect: 'anthropic' | 'ollama' = 'anthropic'): Promise<string> {
    const pieces = texts.map((content) => openaiChunk({ content }))
    rig.upstream.rescript({ kind: 'stream', pieces: [...pieces, openaiChunk({}, 'stop'), openaiDone] })
    const { events, text } = await ask(rig, dialect, 'vllm', { stream: true })
    assert.doesNotMatch(text, /\\ud[89a-f]/i)
    return events.map((event) => event.delta?.text ?? event.message?.content ?? '').join('')
  }

  test('a surrogate pair that is split between chunks is joined', async () => {
    assert.equal(await said([`a${high}`, `${low}b`]), 'a😀b')
    assert.equal(await said([high, low, 'c'], 'ollama'), '😀c')
  })

  test('a surrogate without its other half is replaced by U+FFFD', async () => {
    assert.equal(await said([`a${high}`, 'b']), 'a\ufffdb')
    assert.equal(await said([`a${low}b`, `c${high}`]), 'a\ufffdbc\ufffd')
    rig.upstream.rescript(openaiText(`a${high}b`))
    const { json, text } = await ask(rig, 'anthropic', 'vllm')
    assert.equal(json.content[0].text, 'a\ufffdb')
    assert.doesNotMatch(text, /\\ud83d/)
  })
})

describe('members that chats and responses of OpenAI share', () => {
  test('the service tier and the safety identifier reach an OpenAI server that gets a chat', async () => {
    rig.upstream.rescript(openaiText('Hi'))
    const shared = { service_tier: 'flex', safety_identifier: 'user-1' }
    const { lost } = await ask(rig, 'responses', 'chatonly', shared)
    const { service_tier, safety_identifier } = rig.sent()
    assert.deepEqual({ service_tier, safety_identifier }, shared)
    assert.equal(lost, '')
  })

  test('other servers do not get them, nor OpenAI the tier of an Anthropic client, which is reported', async () => {
    rig.upstream.rescript(openaiText('Hi'))
    const engine = await ask(rig, 'responses', 'vllm', { service_tier: 'flex' })
    assert.deepEqual(['service_tier' in rig.sent(), engine.lost], [false, 'service_tier'])
    const claude = await ask(rig, 'anthropic', 'openai', { service_tier: 'standard_only' })
    assert.deepEqual(['service_tier' in rig.sent(), claude.lost], [false, 'service_tier'])
  })
})
