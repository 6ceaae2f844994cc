import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { anthropicBlocks } from '../helpers/anthropic-answers.ts'
import { ask, assertOk, type ClientDialect, type Json, startRig } from '../helpers/dialect-clients.ts'
import { post } from '../helpers/http.ts'
import { ollamaText, openaiChunk, openaiDone, openaiText } from '../helpers/scripted-upstream.ts'

let rig: Awaited<ReturnType<typeof startRig>>

before(async () => {
  rig = await startRig(openaiText('unused'))
})
after(() => rig.close())

/** How the end is reported to a client of each dialect. */
const endOf: Record<'anthropic' | 'ollama' | 'responses', (json: Json) => unknown> = {
  anthropic: (json) => json.stop_reason,
  ollama: (json) => json.done_reason,
  responses: (json) => json.incomplete_details?.reason ?? json.status,
}

async function endings(finish_reason: string): Promise<Record<string, unknown>> {
  rig.upstream.rescript(openaiText('half', {}, { finish_reason }))
  const all: Record<string, unknown> = {}
  for (const [dialect, read] of Object.entries(endOf)) {
    const answer = await ask(rig, dialect as ClientDialect, 'vllm')
    assertOk(answer, finish_reason)
    all[dialect] = read(answer.json)
  }
  return all
}

async function streamEnd(finish_reason: string): Promise<Json> {
  const pieces = [openaiChunk({ content: 'half' }), openaiChunk({}, finish_reason), openaiDone]
  rig.upstream.rescript({ kind: 'stream', pieces })
  const { events } = await ask(rig, 'anthropic', 'vllm', { stream: true })
  return events.at(-2)?.delta?.stop_reason ?? events.at(-1)
}

describe('finish reasons of any server', () => {
  test('every known name of the token limit becomes the finish reason of the client’s dialect', async () => {
    for (const reason of [
      'length',
      'model_length',
      'MAX_TOKENS',
      'max_tokens',
      'max_output_tokens',
      'model_context_window_exceeded',
      'repetition',
    ]) {
      const expected = { anthropic: 'max_tokens', ollama: 'length', responses: 'max_output_tokens' }
      assert.deepEqual(await endings(reason), expected, reason)
    }
    assert.equal(await streamEnd('model_length'), 'max_tokens')
  })

  test('every known name of a content filter becomes the finish reason of the client’s dialect', async () => {
    for (const reason of [
      'SAFETY',
      'RECITATION',
      'content_filter: RECITATION',
      'FinishReason.PROHIBITED_CONTENT',
      'guardrail_intervened',
      'content_filtered',
      'refusal',
      'sensitive',
    ]) {
      const expected = { anthropic: 'refusal', ollama: 'content_filter', responses: 'content_filter' }
      assert.deepEqual(await endings(reason), expected, reason)
    }
    assert.equal(await streamEnd('SPII'), 'refusal')
  })

  test('a finish reason that means an engine failure is an error, whole and streamed, in every dialect', async () => {
    for (const reason of [
      'network_error',
      'insufficient_system_resource',
      'abort',
      'MALFORMED_FUNCTION_CALL',
    ]) {
      rig.upstream.rescript(openaiText('half', {}, { finish_reason: reason }))
      for (const dialect of ['openai', 'anthropic', 'ollama', 'responses'] as const) {
        const { status } = await ask(rig, dialect, 'vllm')
        assert.equal(status, 502, `${reason} ${dialect}`)
      }
      assert.equal((await streamEnd(reason)).type, 'error', reason)
    }
  })

  test('an unknown finish reason is a normal end, is passed on if the dialect allows it, and is logged', async () => {
    assert.deepEqual(await endings('strange_end'), {
      anthropic: 'end_turn',
      ollama: 'strange_end',
      responses: 'completed',
    })
    assert.equal(await streamEnd('strange_end'), 'end_turn')
    const words = rig.router.logs.filter(({ unknown_finish_reason: word }) => word === 'strange_end')
    assert.equal(words.length, 4)
    rig.upstream.rescript(openaiText('half', {}, { finish_reason: 'my secret text' }))
    await ask(rig, 'ollama', 'vllm')
    assert.ok(!JSON.stringify(rig.router.logs).includes('my secret text'))
  })

  test('a finish reason for tool calls without a call is a normal end', async () => {
    assert.deepEqual(await endings('tool_calls'), {
      anthropic: 'end_turn',
      ollama: 'stop',
      responses: 'completed',
    })
    assert.equal(await streamEnd('tool_calls'), 'end_turn')
  })

  test('finish reasons of Ollama proxies and Anthropic-compatible servers are recognized', async () => {
    const { body } = ollamaText('half') as { body: Json }
    rig.upstream.rescript({ kind: 'reply', body: { ...body, done_reason: 'max_tokens' } })
    assert.equal((await ask(rig, 'openai', 'ollama')).json.choices[0].finish_reason, 'length')
    const message = { id: 'm', type: 'message', role: 'assistant', content: [{ type: 'text', text: 'half' }] }
    rig.upstream.rescript({ kind: 'reply', body: { ...message, stop_reason: 'guardrail_intervened' } })
    assert.equal((await ask(rig, 'openai', 'anthropic')).json.choices[0].finish_reason, 'content_filter')
    rig.upstream.rescript({ kind: 'reply', body: { ...message, stop_reason: 'malformed_tool_use' } })
    assert.equal((await ask(rig, 'openai', 'anthropic')).status, 502)
  })
})

test('a refusal follows the text of an Ollama client, whole and streamed', async () => {
  rig.upstream.rescript(openaiText('Well. ', { refusal: 'No.' }))
  const whole = await ask(rig, 'ollama', 'vllm')
  assert.equal(whole.json.message.content, 'Well. No.')
  const pieces = [
    openaiChunk({ content: 'Well. ' }),
    openaiChunk({ refusal: 'No.' }),
    openaiChunk({}, 'stop'),
  ]
  rig.upstream.rescript({ kind: 'stream', pieces: [...pieces, openaiDone] })
  const { events } = await ask(rig, 'ollama', 'vllm', { stream: true })
  assert.equal(events.map(({ message }) => message.content).join(''), 'Well. No.')
})

test('a refusal follows the text of a completion', async () => {
  const details = { type: 'refusal', category: null, explanation: 'No.' }
  rig.upstream.rescript(
    anthropicBlocks([{ type: 'text', text: 'Well. ' }], 'refusal', { stop_details: details }),
  )
  const { text } = await post(`${rig.router.url}/v1/completions`, { model: 'anthropic', prompt: 'hi' })
  assert.equal(JSON.parse(text).choices[0].text, 'Well. No.')
})
