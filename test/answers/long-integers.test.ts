import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { anthropicToolCall } from '../clients/anthropic-answers.ts'
import { geminiAnswer, geminiStream } from '../clients/gemini-answers.ts'
import { ask, type ClientDialect, paths, startRig } from '../helpers/dialect-clients.ts'
import { post } from '../helpers/http.ts'
import {
  type Behaviour,
  ollamaToolCall,
  ollamaToolCallStream,
  openaiText,
  openaiToolCall,
} from '../helpers/scripted-upstream.ts'

/** Beyond 2^53: JSON.parse rounds its last digit to 2. */
const digits = '9007199254740993'
const id = JSON.rawJSON(digits)
/** The number itself, and inside of text that is JSON. */
const exact = new RegExp(`id\\\\?":\\s*${digits}\\b`)

let rig: Awaited<ReturnType<typeof startRig>>

before(async () => {
  rig = await startRig(openaiText('unused'))
})
after(() => rig.close())

const clients: readonly ClientDialect[] = ['openai', 'anthropic', 'ollama', 'responses']

describe('an integer beyond 2^53 keeps its digits', () => {
  const call = { functionCall: { name: 'f', args: { id } } }
  const answers: [model: string, answer: Behaviour, stream: boolean][] = [
    ['vllm', openaiToolCall('f', { id }), false],
    ['anthropic', anthropicToolCall('f', { id }), false],
    ['ollama', ollamaToolCall('f', { id }), false],
    ['ollama', ollamaToolCallStream('f', { id }), true],
    ['gemini', geminiAnswer([call]), false],
    ['gemini', geminiStream([call]), true],
  ]
  for (const [model, answer, stream] of answers) {
    test(`in a call of ${model}, ${stream ? 'streamed' : 'whole'}, for every client`, async () => {
      rig.upstream.rescript(answer)
      for (const client of clients) {
        const { text } = await ask(rig, client, model, { stream })
        assert.match(text, exact, client)
      }
      const path = stream ? 'streamGenerateContent?alt=sse' : 'generateContent'
      const contents = [{ role: 'user', parts: [{ text: 'hi' }] }]
      const { text } = await post(`${rig.router.url}/v1beta/models/${model}:${path}`, { contents })
      assert.match(text, exact, 'gemini')
    })
  }

  const json = JSON.stringify({ id })
  const called = [{ id: 'c1', type: 'function', function: { name: 'f', arguments: json } }]
  const openai = {
    messages: [
      { role: 'user', content: 'hi' },
      { role: 'assistant', content: null, tool_calls: called },
      { role: 'tool', tool_call_id: 'c1', content: 'ok' },
    ],
  }
  const anthropic = {
    messages: [
      { role: 'user', content: 'hi' },
      { role: 'assistant', content: [{ type: 'tool_use', id: 'c1', name: 'f', input: { id } }] },
      { role: 'user', content: [{ type: 'tool_result', tool_use_id: 'c1', content: 'ok' }] },
    ],
  }
  const ollama = {
    messages: [
      { role: 'user', content: 'hi' },
      { role: 'assistant', content: '', tool_calls: [{ function: { name: 'f', arguments: { id } } }] },
      { role: 'tool', content: 'ok', tool_name: 'f' },
    ],
  }
  const responses = {
    input: [
      { role: 'user', content: 'hi' },
      { type: 'function_call', call_id: 'c1', name: 'f', arguments: json },
      { type: 'function_call_output', call_id: 'c1', output: 'ok' },
    ],
  }
  const histories = { openai, anthropic, ollama, responses } satisfies Record<ClientDialect, object>
  for (const client of clients) {
    test(`in a call of the history of a client of ${paths[client]}, on every server`, async () => {
      for (const model of ['vllm', 'ollama', 'anthropic', 'gemini']) {
        rig.upstream.rescript({ kind: 'reply', status: 400, body: { error: 'enough' } })
        const from = rig.upstream.requests.length
        await ask(rig, client, model, histories[client])
        assert.match(String(rig.upstream.requests[from]?.raw), exact, model)
      }
    })
  }

  const schema = { type: 'object', properties: { id: { type: 'integer', enum: [id] } }, required: ['id'] }
  const json_schema = { name: 's', schema }
  const schemas = {
    openai: { response_format: { type: 'json_schema', json_schema } },
    anthropic: { output_config: { format: { type: 'json_schema', schema } } },
    ollama: { format: schema },
    responses: { text: { format: { type: 'json_schema', ...json_schema } } },
  } satisfies Record<ClientDialect, object>
  const nested = [{ type: 'function', function: { name: 'f', parameters: schema } }]
  const tools = {
    openai: nested,
    anthropic: [{ name: 'f', input_schema: schema }],
    ollama: nested,
    responses: [{ type: 'function', name: 'f', parameters: schema }],
  } satisfies Record<ClientDialect, object>
  const listed = new RegExp(`"enum":\\[${digits}\\]`)
  for (const client of clients)
    test(`in a schema of a client of ${paths[client]}, on every server`, async () => {
      for (const model of ['vllm', 'ollama', 'anthropic', 'gemini'])
        for (const body of [{ tools: tools[client] }, schemas[client]]) {
          rig.upstream.rescript({ kind: 'reply', status: 400, body: { error: 'enough' } })
          const from = rig.upstream.requests.length
          await ask(rig, client, model, body)
          assert.match(String(rig.upstream.requests[from]?.raw), listed, `${model} ${JSON.stringify(body)}`)
        }
    })

  test('in the tools that a response of the Responses API repeats', async () => {
    rig.upstream.rescript(openaiText('ok'))
    for (const stream of [false, true]) {
      const { text } = await ask(rig, 'responses', 'vllm', { tools: tools.responses, stream })
      const repeated = text.match(/"enum":\[\d+\]/g) ?? []
      assert.ok(repeated.length > 0)
      for (const each of repeated) assert.match(each, listed)
    }
  })

  test('in the tools of a stored response', async () => {
    rig.upstream.rescript(openaiText('ok'))
    const { json } = await ask(rig, 'responses', 'vllm', { tools: tools.responses })
    const stored = await fetch(`${rig.router.url}/v1/responses/${json.id}`)
    assert.match(await stored.text(), listed)
  })

  test('in a schema of a client of Gemini, on another server', async () => {
    rig.upstream.rescript(openaiText('ok'))
    const contents = [{ role: 'user', parts: [{ text: 'hi' }] }]
    for (const body of [
      { generationConfig: { responseMimeType: 'application/json', responseJsonSchema: schema } },
      { generation_config: { response_mime_type: 'application/json', response_schema: schema } },
      { tools: [{ functionDeclarations: [{ name: 'f', parameters: schema }] }] },
    ]) {
      const from = rig.upstream.requests.length
      await post(`${rig.router.url}/v1beta/models/vllm:generateContent`, { contents, ...body })
      assert.match(String(rig.upstream.requests[from]?.raw), listed, JSON.stringify(body))
    }
  })

  test('except outside of calls and schemas, where it is read as a number', async () => {
    rig.upstream.rescript(ollamaToolCall('f', { id }))
    await ask(rig, 'openai', 'ollama', { ...openai, seed: id })
    assert.equal(rig.sent().options.seed, Number(digits))
  })
})
