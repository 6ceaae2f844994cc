import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { anthropicText, anthropicToolCall } from '../clients/anthropic-answers.ts'
import { geminiText } from '../clients/gemini-answers.ts'
import { ask, assertOk, type Json, startRig } from '../helpers/dialect-clients.ts'
import { post } from '../helpers/http.ts'
import { openaiChunk, openaiDone, openaiText } from '../helpers/scripted-upstream.ts'

let rig: Awaited<ReturnType<typeof startRig>>

before(async () => {
  rig = await startRig(openaiText('unused'))
})
after(() => rig.close())

const cache_control = { type: 'ephemeral' }
const parameters = { type: 'object', properties: { a: { type: 'string' } } }

describe('prompt cache markers', () => {
  const call = { id: 'c1', type: 'function', function: { name: 'f', arguments: '{}' }, cache_control }
  const messages = [
    { role: 'system', content: [{ type: 'text', text: 's', cache_control }] },
    { role: 'user', content: [{ type: 'text', text: 'u', cache_control }] },
    { role: 'assistant', content: null, tool_calls: [call] },
    { role: 'tool', tool_call_id: 'c1', content: 'r', cache_control },
    { role: 'assistant', content: 'a', cache_control },
    { role: 'user', content: 'u' },
  ]
  const tools = [{ type: 'function', function: { name: 'f', parameters }, cache_control }]

  test('prompt cache markers of an OpenAI client reach Anthropic where they were set', async () => {
    rig.upstream.rescript(anthropicText('ok'))
    const answer = await ask(rig, 'openai', 'anthropic', { messages, tools })
    assertOk(answer)
    const sent = rig.sent()
    const marked = [
      sent.system[0],
      sent.messages[0].content[0],
      sent.messages[1].content[0],
      sent.messages[2].content[0],
      sent.messages[3].content[0],
      sent.tools[0],
    ]
    for (const each of marked) assert.deepEqual(each.cache_control, cache_control, JSON.stringify(each))
    assert.equal('cache_control' in sent.messages[4].content[0], false)
    assert.equal(answer.lost, '')
  })

  test('prompt cache markers that the server does not support are reported, for clients of both dialects', async () => {
    rig.upstream.rescript(openaiText('ok'))
    const blocks = [{ type: 'text', text: 'u', cache_control }]
    const anthropic = await ask(rig, 'anthropic', 'vllm', { messages: [{ role: 'user', content: blocks }] })
    assert.match(anthropic.lost, /cache_control/)
    assert.equal((await ask(rig, 'anthropic', 'vllm')).lost, '')
  })
})

describe('nested fields that no other dialect has', () => {
  test('nested fields of Gemini are reported by their path, in both spellings', async () => {
    rig.upstream.rescript(openaiText('ok'))
    const data = { mime_type: 'image/png', data: 'iVBORw0KGgo=' }
    const lostBy = async (body: object): Promise<string | null> => {
      const contents = [{ role: 'user', parts: [{ text: 'hi' }] }]
      const url = `${rig.router.url}/v1beta/models/vllm:generateContent`
      return (await post(url, { contents, ...body })).headers.get('x-llm-router-lost')
    }
    assert.equal(
      await lostBy({ system_instruction: { parts: [{ text: 's' }, { inline_data: data }] } }),
      'systemInstruction.parts.inlineData',
    )
    const video = { inlineData: data, video_metadata: { fps: 1 } }
    assert.equal(
      await lostBy({ contents: [{ role: 'user', parts: [video] }] }),
      'contents.parts.videoMetadata',
    )
    const declaration = { name: 'f', parameters, response: { type: 'STRING' } }
    const tools = [{ function_declarations: [declaration] }]
    assert.equal(await lostBy({ tools }), 'tools.functionDeclarations.response')
    const functionCallingConfig = { mode: 'VALIDATED' }
    assert.equal(
      await lostBy({
        tools: [{ functionDeclarations: [{ name: 'f' }] }],
        toolConfig: { functionCallingConfig },
      }),
      'toolConfig.functionCallingConfig.mode',
    )
    const generationConfig = {
      responseMimeType: 'text/x.enum',
      responseSchema: { type: 'STRING', enum: ['a'] },
    }
    assert.equal(await lostBy({ generationConfig }), 'generationConfig.responseMimeType')
    assert.equal(await lostBy({}), null)
  })

  test('the description of a schema and the name of a file are reported where the upstream has no field', async () => {
    const json_schema = { name: 'r', description: 'd', schema: { type: 'object' } }
    const response_format = { type: 'json_schema', json_schema }
    rig.upstream.rescript(anthropicText('ok'))
    const { lost } = await ask(rig, 'openai', 'anthropic', { response_format })
    assert.equal(lost, 'response_format.json_schema.description')
    rig.upstream.rescript(geminiText('ok'))
    const file = { filename: 'a.pdf', file_data: 'data:application/pdf;base64,JVBERi0=' }
    const messages = [{ role: 'user', content: [{ type: 'file', file }] }]
    assert.equal((await ask(rig, 'openai', 'gemini', { messages })).lost, 'file.filename')
  })

  test('nested fields of chat completions are reported by their path', async () => {
    rig.upstream.rescript(anthropicText('ok'))
    const messages = [
      { role: 'user', content: [{ type: 'text', text: 'u', odd: 1 }] },
      {
        role: 'assistant',
        content: 'a',
        reasoning_details: [{ type: 'x' }],
        thinking_blocks: [],
        audio: { id: 'x' },
      },
      { role: 'user', content: 'u', weight: 0 },
    ]
    const tools = [
      { type: 'function', function: { name: 'f', parameters, examples: [1] }, defer_loading: true },
    ]
    const { lost } = await ask(rig, 'openai', 'anthropic', { messages, tools })
    assert.deepEqual(lost.split(', ').toSorted(), [
      'messages.audio',
      'messages.content.odd',
      'messages.reasoning_details',
      'messages.weight',
      'tools.defer_loading',
      'tools.function.examples',
    ])
  })

  test('nested fields of Messages, Responses and Ollama chats are reported by their path', async () => {
    rig.upstream.rescript(openaiText('ok'))
    const tools = [{ name: 'f', input_schema: parameters, input_examples: [{}], defer_loading: false }]
    const content = [{ type: 'text', text: 'u', odd: 1 }]
    const anthropic = await ask(rig, 'anthropic', 'vllm', { messages: [{ role: 'user', content }], tools })
    assert.deepEqual(anthropic.lost.split(', ').toSorted(), ['messages.content.odd', 'tools.input_examples'])
    const item = { type: 'message', role: 'user', content: [{ type: 'input_text', text: 'u', odd: 1 }] }
    assert.equal((await ask(rig, 'responses', 'vllm', { input: [item] })).lost, 'input.content.odd')
    const said = { role: 'user', content: 'u', odd: 1 }
    assert.equal((await ask(rig, 'ollama', 'vllm', { messages: [said] })).lost, 'messages.odd')
  })
})

describe('the thought signature of a tool call', () => {
  const signature = 'SIG123+/=='
  const signed = {
    id: 'call_1',
    type: 'function',
    function: { name: 'f', arguments: '{"a":"x"}' },
    extra_content: { google: { thought_signature: signature } },
  }
  const functionTool = [{ type: 'function', function: { name: 'f', parameters } }]

  function answered(stream: boolean): void {
    const pieces = [
      openaiChunk({ role: 'assistant', tool_calls: [{ index: 0, ...signed }] }),
      openaiChunk({}, 'tool_calls'),
      openaiDone,
    ]
    rig.upstream.rescript(
      stream
        ? { kind: 'stream', pieces }
        : openaiText('', { content: null, tool_calls: [signed] }, { finish_reason: 'tool_calls' }),
    )
  }

  function assertSentBack(): void {
    const { messages } = rig.sent()
    const [call] = messages.find(({ tool_calls: calls }: Json) => calls).tool_calls
    assert.deepEqual(call, signed)
    assert.equal(messages.find(({ role }: Json) => role === 'tool').tool_call_id, 'call_1')
  }

  for (const stream of [false, true]) {
    const how = stream ? 'in a stream' : 'whole'

    test(`the signature of a tool call survives an Anthropic client that keeps only its messages, ${how}`, async () => {
      const tools = [{ name: 'f', input_schema: parameters }]
      answered(stream)
      const { json, events } = await ask(rig, 'anthropic', 'openai', { tools, stream })
      const use = json?.content[0] ?? events.find((event) => event.content_block)?.content_block
      assert.match(use.id, /^[a-zA-Z0-9_-]+$/)
      rig.upstream.rescript(openaiText('ok'))
      const messages = [
        { role: 'user', content: 'hi' },
        { role: 'assistant', content: [{ ...use, input: { a: 'x' } }] },
        { role: 'user', content: [{ type: 'tool_result', tool_use_id: use.id, content: 'r' }] },
      ]
      const second = await ask(rig, 'anthropic', 'openai', { tools, messages })
      assertOk(second)
      assert.equal(second.lost, '')
      assertSentBack()
    })

    test(`the signature of a tool call survives an Ollama client, ${how}`, async () => {
      answered(stream)
      const { json, events } = await ask(rig, 'ollama', 'openai', { tools: functionTool, stream })
      const message = json?.message ?? events.find((event) => event.message?.tool_calls).message
      rig.upstream.rescript(openaiText('ok'))
      const result = { role: 'tool', content: 'r', tool_name: 'f' }
      const messages = [{ role: 'user', content: 'hi' }, message, result]
      assertOk(await ask(rig, 'ollama', 'openai', { tools: functionTool, messages }))
      assertSentBack()
    })

    test(`the signature of a tool call survives a Responses client, ${how}`, async () => {
      const router = { ...rig }
      const tools = [{ type: 'function', name: 'f', parameters }]
      answered(stream)
      const { json, events } = await ask(router, 'responses', 'vllm', { tools, stream })
      const output = json?.output ?? events.at(-1).response.output
      rig.upstream.rescript(openaiText('ok'))
      const result = { type: 'function_call_output', call_id: output[0].call_id, output: 'r' }
      const input = [{ role: 'user', content: 'hi' }, ...output, result]
      assertOk(await ask(router, 'responses', 'vllm', { tools, input }))
      assertSentBack()
    })
  }

  test('the signature of a tool call is not sent to another server, which gets the plain id; this is reported', async () => {
    answered(false)
    const tools = [{ type: 'function', name: 'f', parameters }]
    const { json } = await ask(rig, 'responses', 'vllm', { tools })
    rig.upstream.rescript(anthropicToolCall('f', {}))
    const result = { type: 'function_call_output', call_id: json.output[0].call_id, output: 'r' }
    const second = await ask(rig, 'responses', 'anthropic', {
      tools,
      input: [{ role: 'user', content: 'hi' }, ...json.output, result],
    })
    assert.match(second.lost, /extra_content/)
    assert.equal(rig.sent().messages[1].content[0].id, 'call_1')
  })
})

describe('a beginning of the answer, as the last message,', () => {
  const user = { role: 'user', content: 'A JSON object' }
  const begun = { messages: [user, { role: 'assistant', content: '{"a":' }] }
  const sent = () => [rig.sent().continue_final_message, rig.sent().add_generation_prompt]

  test('is continued by vLLM for clients whose APIs continue it', async () => {
    rig.upstream.rescript(openaiText('1}'))
    for (const dialect of ['anthropic', 'ollama'] as const) {
      assertOk(await ask(rig, dialect, 'vllm', begun))
      assert.deepEqual(sent(), [true, false], dialect)
      assert.deepEqual(rig.sent().messages.at(-1), { role: 'assistant', content: '{"a":' })
    }
    const contents = [
      { role: 'user', parts: [{ text: 'A JSON object' }] },
      { role: 'model', parts: [{ text: '{"a":' }] },
    ]
    await post(`${rig.router.url}/v1beta/models/vllm:generateContent`, { contents })
    assert.deepEqual(sent(), [true, false])
  })

  test('is not continued if it is an earlier answer, a call or a message of another API', async () => {
    rig.upstream.rescript(openaiText('ok'))
    const call = { type: 'tool_use', id: 'c1', name: 'f', input: {} }
    for (const [dialect, body] of [
      ['anthropic', { messages: [...begun.messages, user] }],
      ['anthropic', { messages: [user, { role: 'assistant', content: [call] }] }],
      ['responses', { input: begun.messages }],
    ] as const) {
      assertOk(await ask(rig, dialect, 'vllm', body))
      assert.deepEqual(sent(), [undefined, undefined], JSON.stringify(body))
    }
    await ask(rig, 'anthropic', 'llamacpp', begun)
    assert.deepEqual(sent(), [undefined, undefined])
  })
})
