import assert from 'node:assert/strict'
import { after, before, beforeEach, describe, test } from 'node:test'
import { ApiError, GoogleGenAI, Type } from '@google/genai'
import { keysFile } from '../helpers/keys-file.ts'
import { modelsConfig } from '../helpers/models-config.ts'
import { startRouter, type TestRouter } from '../helpers/router.ts'
import {
  openaiStream,
  openaiText,
  openaiToolCall,
  type ScriptedUpstream,
  startUpstream,
} from '../helpers/scripted-upstream.ts'
import { anthropicEvent } from './anthropic-answers.ts'
import { geminiEvent, geminiText } from './gemini-answers.ts'

const contents = [{ role: 'user', parts: [{ text: 'Hello' }] }]
const json = { 'content-type': 'application/json' }

describe('a Gemini client', () => {
  let upstream: ScriptedUpstream
  let router: TestRouter
  let client: GoogleGenAI

  before(async () => {
    upstream = await startUpstream(openaiText('Hi there'))
    const provider = { api_host: upstream.url, model_path: 'upstream-model' }
    router = await startRouter({
      models: modelsConfig({
        small: [{ api_type: 'vllm', ...provider, input_size: 8192 }],
        'team/own:1b': [{ api_type: 'gemini', ...provider, model_path: 'gemini-2.5-flash' }],
        claude: [{ api_type: 'anthropic', ...provider }],
        lmstudio: [{ api_type: 'lmstudio', ...provider }],
        demo: [{ api_type: 'mock' }],
      }),
    })
    client = new GoogleGenAI({ apiKey: 'client-key', httpOptions: { baseUrl: router.url } })
  })
  beforeEach(() => upstream.rescript(openaiText('Hi there')))
  after(async () => {
    await router.close()
    await upstream.close()
  })

  function lastBody(): Record<string, unknown> {
    return Object(upstream.requests.at(-1)?.body)
  }

  function send(path: string, body: unknown = { contents }, headers: Record<string, string> = {}) {
    const text = typeof body === 'string' ? body : JSON.stringify(body)
    return fetch(router.url + path, { method: 'POST', headers: { ...json, ...headers }, body: text })
  }

  test("can use every field, each translated into the upstream's dialect", async () => {
    await client.models.generateContent({
      model: 'small',
      contents: [
        {
          role: 'user',
          parts: [{ text: 'What is this?' }, { inlineData: { mimeType: 'image/png', data: 'AAAA' } }],
        },
        {
          role: 'model',
          parts: [
            { text: 'Hm', thought: true },
            { functionCall: { name: 'look', args: { at: 'it' } } },
            { functionCall: { name: 'look', args: { at: 'that' } } },
          ],
        },
        {
          role: 'user',
          parts: [
            { functionResponse: { name: 'look', response: { output: 'a cat' } } },
            { functionResponse: { name: 'look', response: { seen: ['a dog'] } } },
          ],
        },
      ],
      config: {
        systemInstruction: 'Be brief',
        tools: [
          {
            functionDeclarations: [
              {
                name: 'look',
                description: 'Looks',
                parameters: {
                  type: Type.OBJECT,
                  properties: { at: { type: Type.STRING, nullable: true, maxLength: '5' } },
                },
              },
            ],
          },
        ],
        temperature: 0.5,
        topP: 0.9,
        topK: 40,
        maxOutputTokens: 100,
        stopSequences: ['END'],
        seed: 1,
        responseMimeType: 'application/json',
        responseSchema: { type: Type.OBJECT, properties: { n: { type: Type.INTEGER } } },
        thinkingConfig: { thinkingBudget: 0 },
      },
    })
    assert.deepEqual(lastBody(), {
      model: 'upstream-model',
      messages: [
        { role: 'system', content: 'Be brief' },
        {
          role: 'user',
          content: [
            { type: 'text', text: 'What is this?' },
            { type: 'image_url', image_url: { url: 'data:image/png;base64,AAAA' } },
          ],
        },
        {
          role: 'assistant',
          content: null,
          reasoning_content: 'Hm',
          reasoning: 'Hm',
          tool_calls: [
            { id: 'call_0', type: 'function', function: { name: 'look', arguments: '{"at":"it"}' } },
            { id: 'call_1', type: 'function', function: { name: 'look', arguments: '{"at":"that"}' } },
          ],
        },
        { role: 'tool', tool_call_id: 'call_0', content: 'a cat' },
        { role: 'tool', tool_call_id: 'call_1', content: '{"seen":["a dog"]}' },
      ],
      stream: false,
      max_tokens: 100,
      temperature: 0.5,
      top_p: 0.9,
      top_k: 40,
      seed: 1,
      stop: ['END'],
      tools: [
        {
          type: 'function',
          function: {
            name: 'look',
            description: 'Looks',
            parameters: {
              type: 'object',
              properties: { at: { type: ['string', 'null'], maxLength: 5 } },
            },
          },
        },
      ],
      response_format: {
        type: 'json_schema',
        json_schema: {
          name: 'response',
          schema: { type: 'object', properties: { n: { type: 'integer' } } },
        },
      },
      reasoning_effort: 'none',
    })
  })

  test('may use snake case for its fields, as Google’s examples do', async () => {
    await send('/v1beta/models/small:generateContent', {
      system_instruction: { parts: { text: 'Be brief' } },
      contents: { parts: { text: 'Hello' } },
      generation_config: { max_output_tokens: 7, stop_sequences: ['END'] },
      tools: [{ function_declarations: [{ name: 'f', parameters_json_schema: { type: 'object' } }] }],
      tool_config: { function_calling_config: { mode: 'ANY', allowed_function_names: ['f'] } },
    })
    const { messages, max_tokens, stop, tools, tool_choice } = lastBody()
    assert.deepEqual(messages, [
      { role: 'system', content: 'Be brief' },
      { role: 'user', content: 'Hello' },
    ])
    assert.deepEqual([max_tokens, stop], [7, ['END']])
    assert.deepEqual(tools, [{ type: 'function', function: { name: 'f', parameters: { type: 'object' } } }])
    assert.deepEqual(tool_choice, { type: 'function', function: { name: 'f' } })
  })

  test('gets an error for an allowed function that it does not declare', async () => {
    const response = await send('/v1beta/models/small:generateContent', {
      contents,
      tools: [{ functionDeclarations: [{ name: 'f' }] }],
      toolConfig: { functionCallingConfig: { mode: 'ANY', allowedFunctionNames: ['f', 'g'] } },
    })
    assert.equal(response.status, 400)
    const { error } = Object(await response.json())
    assert.equal(error.status, 'INVALID_ARGUMENT')
    assert.match(error.message, /allowedFunctionNames.*'g'/)
  })

  test('is informed of dropped fields', async () => {
    const response = await send('/v1beta/models/small:generateContent', {
      contents,
      safetySettings: [{ category: 'HARM_CATEGORY_HARASSMENT', threshold: 'OFF' }],
      tools: [{ googleSearch: {} }],
      generationConfig: { responseModalities: ['TEXT'] },
    })
    assert.equal(response.status, 200)
    assert.deepEqual(response.headers.get('x-llm-router-lost')?.split(', ').sort(), [
      'generationConfig.responseModalities',
      'safetySettings',
      'tools.googleSearch',
    ])
  })

  test('exchanges bytes unchanged with a Gemini server, except for the model in the path', async () => {
    const body = `{ "contents" : [{"parts":[{"text":"Gr\\u00fc\u00df"}]}], "unheardOf": 12345678901234567890 }`
    const answer = `{"candidates": [{"content": {"parts": [{"text": "Hi"}]}, "finishReason": "STOP"}], "big": 12345678901234567890}`
    upstream.rescript({ kind: 'reply', body: answer })
    const whole = await send('/v1beta/models/team/own:1b:generateContent', body)
    assert.equal(await whole.text(), answer)
    assert.equal(upstream.requests.at(-1)?.raw.toString(), body)
    assert.equal(upstream.requests.at(-1)?.url, '/v1beta/models/gemini-2.5-flash:generateContent')
    const pieces = [
      geminiEvent({ candidates: [{ content: { parts: [{ text: 'Hi', thoughtSignature: 'c2ln' }] } }] }),
      geminiEvent({ candidates: [{ content: { parts: [{ text: '' }] }, finishReason: 'STOP' }] }),
    ]
    upstream.rescript({ kind: 'stream', pieces: [pieces.join('').slice(0, 50), pieces.join('').slice(50)] })
    const streamed = await send('/v1/models/team%2Fown:1b:streamGenerateContent?alt=sse', body)
    assert.equal(streamed.headers.get('content-type'), 'text/event-stream')
    assert.equal(await streamed.text(), pieces.join(''))
    assert.equal(upstream.requests.at(-1)?.raw.toString(), body)
    upstream.rescript({ kind: 'stream', pieces })
    const list = await send('/v1beta/models/team%2Fown%3A1b:streamGenerateContent', body)
    const elements = pieces.map((piece) => piece.slice('data: '.length).trim())
    assert.equal(await list.text(), `[${elements.join(',\r\n')}\n]`)
  })

  test('counts tokens with the engine, with a Gemini server, or by estimate', async () => {
    upstream.rescript({ kind: 'reply', body: { count: 17 } })
    assert.equal((await client.models.countTokens({ model: 'small', contents })).totalTokens, 17)
    assert.equal(upstream.requests.at(-1)?.url, '/tokenize')
    upstream.rescript({ kind: 'reply', body: { totalTokens: 18 } })
    assert.equal((await client.models.countTokens({ model: 'team/own:1b', contents })).totalTokens, 18)
    assert.equal(upstream.requests.at(-1)?.url, '/v1beta/models/gemini-2.5-flash:countTokens')
    assert.deepEqual(lastBody(), { contents })
    await send('/v1beta/models/team/own:1b:countTokens', {
      generateContentRequest: { model: 'models/team/own:1b', contents, tools: [] },
    })
    assert.deepEqual(lastBody(), {
      generateContentRequest: { model: 'models/gemini-2.5-flash', contents, tools: [] },
    })
    const estimated = await send('/v1beta/models/lmstudio:countTokens')
    assert.equal(estimated.headers.get('x-llm-router-estimate'), 'true')
    const { totalTokens } = Object(await estimated.json())
    assert.ok(totalTokens > 1)
    const file = { fileData: { fileUri: 'https://example.com/a.png', mimeType: 'image/png' } }
    const withFile = await send('/v1beta/models/lmstudio:countTokens', {
      contents: [{ parts: [{ text: 'Hi' }, file] }],
    })
    const without = await send('/v1beta/models/lmstudio:countTokens', {
      contents: [{ parts: [{ text: 'Hi' }] }],
    })
    const image = Object(await withFile.json()).totalTokens - Object(await without.json()).totalTokens
    assert.ok(image >= 258 && image < 270, `${image} tokens for an image`)
  })

  test('gets embeddings from any upstream, for one input or several', async () => {
    const vectors = [
      [0.5, 0.25],
      [1, 0],
    ]
    upstream.rescript(({ body }) => {
      const inputs = [Object(body).input].flat()
      const data = inputs.map((_input, index) => ({ object: 'embedding', index, embedding: vectors[index] }))
      return { kind: 'reply', body: { object: 'list', data, usage: { prompt_tokens: 2, total_tokens: 2 } } }
    })
    const two = await client.models.embedContent({ model: 'small', contents: ['a', 'b'] })
    assert.deepEqual(
      two.embeddings?.map(({ values }) => values),
      vectors,
    )
    const one = await send('/v1beta/models/small:embedContent', { content: { parts: [{ text: 'a' }] } })
    assert.deepEqual(Object(await one.json()).embedding, { values: vectors[0] })
    upstream.rescript({ kind: 'reply', body: { embedding: { values: [1e-7] } } })
    await send('/v1beta/models/team/own:1b:embedContent', {
      model: 'models/team/own:1b',
      content: { parts: [{ text: 'a' }] },
      taskType: 'RETRIEVAL_QUERY',
    })
    assert.equal(upstream.requests.at(-1)?.url, '/v1beta/models/gemini-2.5-flash:embedContent')
    assert.deepEqual(lastBody(), {
      model: 'models/gemini-2.5-flash',
      content: { parts: [{ text: 'a' }] },
      taskType: 'RETRIEVAL_QUERY',
    })
    upstream.rescript({ kind: 'reply', body: { embeddings: vectors.map((values) => ({ values })) } })
    const own = await client.models.embedContent({ model: 'team/own:1b', contents: ['a', 'b'] })
    assert.equal(own.embeddings?.length, 2)
    assert.equal(upstream.requests.at(-1)?.url, '/v1beta/models/gemini-2.5-flash:batchEmbedContents')
    const { requests } = Object(lastBody())
    assert.deepEqual(
      requests.map((request: { model: string }) => request.model),
      ['models/gemini-2.5-flash', 'models/gemini-2.5-flash'],
    )
  })

  test('gets a malformed call of a Gemini server unchanged', async () => {
    const answer = { candidates: [{ finishReason: 'MALFORMED_FUNCTION_CALL', index: 0 }] }
    upstream.rescript({ kind: 'reply', body: answer })
    const whole = await send('/v1beta/models/team/own:1b:generateContent')
    assert.deepEqual(await whole.json(), answer)
    upstream.rescript({ kind: 'stream', pieces: [geminiEvent(answer)] })
    const streamed = await send('/v1beta/models/team/own:1b:streamGenerateContent?alt=sse')
    assert.match(await streamed.text(), /MALFORMED_FUNCTION_CALL/)
  })

  test('lists the models page by page, and gets one by its name', async () => {
    const names: (string | undefined)[] = []
    for await (const { name } of await client.models.list({ config: { pageSize: 2 } })) names.push(name)
    assert.deepEqual(names.toSorted(), [
      'models/claude',
      'models/demo',
      'models/lmstudio',
      'models/small',
      'models/team/own:1b',
    ])
    const model = await client.models.get({ model: 'small' })
    assert.deepEqual([model.name, model.inputTokenLimit], ['models/small', 8192])
    const shared = await fetch(`${router.url}/v1/models`, { headers: { 'x-goog-api-key': 'k' } })
    assert.equal(Object(await shared.json()).models.length, 5)
    await assert.rejects(client.models.get({ model: 'nobody' }), /NOT_FOUND/)
  })

  test("returns Claude's thinking to Claude together with its call", async () => {
    const answer = {
      id: 'msg_1',
      type: 'message',
      role: 'assistant',
      model: 'upstream-model',
      content: [
        { type: 'thinking', thinking: 'Hm', signature: 'claudes+own/signature=' },
        { type: 'tool_use', id: 'toolu_1', name: 'look', input: {} },
      ],
      stop_reason: 'tool_use',
      usage: { input_tokens: 1, output_tokens: 1 },
    }
    const { content: blocks, ...head } = answer
    const deltas = [
      { type: 'thinking_delta', thinking: 'Hm' },
      { type: 'signature_delta', signature: 'claudes+own/signature=' },
    ]
    const events = [
      { type: 'message_start', message: { ...head, content: [], stop_reason: null } },
      { type: 'content_block_start', index: 0, content_block: { type: 'thinking', thinking: '' } },
      ...deltas.map((delta) => ({ type: 'content_block_delta', index: 0, delta })),
      { type: 'content_block_stop', index: 0 },
      { type: 'content_block_start', index: 1, content_block: blocks[1] },
      { type: 'content_block_stop', index: 1 },
      { type: 'message_delta', delta: { stop_reason: 'tool_use' }, usage: { output_tokens: 1 } },
      { type: 'message_stop' },
    ]
    const streamed = { kind: 'stream' as const, pieces: events.map(anthropicEvent) }
    const config = {
      tools: [{ functionDeclarations: [{ name: 'look' }] }],
      thinkingConfig: { thinkingBudget: 2048 },
    }
    for (const behaviour of [{ kind: 'reply' as const, body: answer }, streamed]) {
      upstream.rescript(behaviour)
      const turns = []
      const question = { model: 'claude', contents, config }
      if (behaviour.kind === 'reply') {
        turns.push((await client.models.generateContent(question)).candidates?.[0]?.content)
      } else {
        for await (const { candidates } of await client.models.generateContentStream(question))
          turns.push(candidates?.[0]?.content)
      }
      const parts = turns.flatMap((turn) => turn?.parts ?? []).filter(({ text }) => text === undefined)
      assert.deepEqual(
        parts.map(({ functionCall }) => functionCall?.name),
        ['look'],
      )
      upstream.rescript({ kind: 'reply', body: { ...answer, content: [{ type: 'text', text: 'ok' }] } })
      await client.models.generateContent({
        model: 'claude',
        contents: [
          ...contents,
          { role: 'model', parts },
          { role: 'user', parts: [{ functionResponse: { name: 'look', response: { output: 'x' } } }] },
        ],
        config,
      })
      const { messages, thinking } = Object(lastBody())
      assert.deepEqual(messages[1].content[0], answer.content[0])
      assert.deepEqual(thinking, { type: 'enabled', budget_tokens: 2048 })
    }
  })

  test("gets Gemini's finish reasons for the token limit and for filters", async () => {
    const reasonOf = async (finish_reason: string): Promise<unknown> => {
      upstream.rescript(openaiText('Hi', {}, { finish_reason }))
      return (await client.models.generateContent({ model: 'small', contents })).candidates?.[0]?.finishReason
    }
    assert.equal(await reasonOf('length'), 'MAX_TOKENS')
    assert.equal(await reasonOf('content_filter'), 'SAFETY')
    upstream.rescript(openaiToolCall('look', {}))
    const called = await client.models.generateContent({ model: 'small', contents })
    assert.equal(called.candidates?.[0]?.finishReason, 'STOP')
    assert.equal(called.functionCalls?.[0]?.name, 'look')
  })

  test("gets errors in Gemini's form", async () => {
    const errorOf = async (path: string, body?: unknown): Promise<[number, string, string]> => {
      const response = await send(path, body)
      const { error } = Object(await response.json())
      assert.equal(error.code, response.status)
      return [response.status, error.status, error.message]
    }
    const [status, word, message] = await errorOf('/v1beta/models/small:generateContent', {})
    assert.deepEqual([status, word], [400, 'INVALID_ARGUMENT'])
    assert.match(message, /'contents' is required/)
    assert.deepEqual((await errorOf('/v1beta/models/small:generateContent', '{')).slice(0, 2), [
      400,
      'INVALID_ARGUMENT',
    ])
    assert.deepEqual((await errorOf('/v1beta/models/small:dance')).slice(0, 2), [404, 'NOT_FOUND'])
    assert.deepEqual((await errorOf('/v1beta/models/small')).slice(0, 2), [404, 'NOT_FOUND'])
    assert.deepEqual((await errorOf('/v1beta/nothing')).slice(0, 2), [404, 'NOT_FOUND'])
    const bad = await errorOf('/v1beta/models/small:generateContent', {
      contents: [{ role: 'x', parts: [] }],
    })
    assert.match(bad[2], /'contents\[0\].role' must be user or model/)
    upstream.rescript({ kind: 'reply', status: 503, body: { error: { message: 'busy' } } })
    await assert.rejects(
      client.models.generateContent({ model: 'small', contents }),
      (error) => error instanceof ApiError && error.status === 503 && /UNAVAILABLE/.test(error.message),
    )
  })

  test('may not put its key into the URL, where proxies would log it', async () => {
    for (const path of ['small:generateContent', 'small:streamGenerateContent', 'small:countTokens']) {
      const refused = await send(`/v1beta/models/${path}?key=SECRET-KEY&alt=sse`)
      assert.equal(refused.status, 400)
      const text = await refused.text()
      assert.match(text, /x-goog-api-key/)
      assert.doesNotMatch(text, /SECRET-KEY/)
    }
    for (const path of ['/v1beta/models', '/v1beta/models/small', '/v1/models'])
      assert.equal((await fetch(`${router.url}${path}?key=SECRET-KEY`)).status, 400, path)
    await fetch(`${router.url}/v1beta/nothing?key=SECRET-KEY`)
    await send('/v1beta/models/small:generateContent', { contents }, { 'x-request-id': 'behind' })
    await router.requestLogged('behind')
    assert.doesNotMatch(JSON.stringify(router.logs), /SECRET-KEY/)
  })

  test('can chat with the embedded model, whole and streamed', async () => {
    assert.ok((await client.models.generateContent({ model: 'demo', contents })).text)
    let text = ''
    for await (const chunk of await client.models.generateContentStream({ model: 'demo', contents }))
      text += chunk.text ?? ''
    assert.ok(text)
  })

  test('is identified in the log line of its request', async () => {
    upstream.rescript(openaiStream(['Hi']))
    const logged = router.logged(
      (line) => line.msg === 'request' && line.model === 'small' && line.stream === true,
    )
    for await (const _chunk of await client.models.generateContentStream({ model: 'small', contents }));
    const { model, endpoint, prompt_tokens } = await logged
    assert.deepEqual([model, endpoint, prompt_tokens], ['small', '/v1/models/*', 9])
  })
})

test('a client key is accepted as x-goog-api-key, for the surface gemini and with Gemini’s token limit fields', async (t) => {
  const keys = keysFile([
    { id: 'google', key: 'google-key', surfaces: ['gemini'], max_tokens: 50 },
    { id: 'other', key: 'other-key', surfaces: ['openai'] },
  ])
  t.after(() => keys.remove())
  const router = await startRouter({ env: keys.env, models: modelsConfig({ demo: [{ api_type: 'mock' }] }) })
  t.after(() => router.close())
  const call = (key: Record<string, string>, body: object = {}, query = '') =>
    fetch(`${router.url}/v1beta/models/demo:generateContent${query}`, {
      method: 'POST',
      headers: { ...json, ...key },
      body: JSON.stringify({ contents, ...body }),
    })
  const google = { 'x-goog-api-key': 'google-key' }
  assert.equal((await call(google)).status, 200)
  assert.equal((await call({ 'x-goog-api-key': 'other-key' })).status, 403)
  const none = await call({}, {}, '?key=google-key')
  assert.equal(none.status, 401)
  assert.equal(Object(await none.json()).error.status, 'UNAUTHENTICATED')
  for (const config of [
    { generationConfig: { maxOutputTokens: 51 } },
    { generation_config: { max_output_tokens: 51 } },
    { generationConfig: { maxOutputTokens: 26, candidateCount: 2 } },
  ])
    assert.equal((await call(google, config)).status, 400, JSON.stringify(config))
  assert.equal((await call(google, { generationConfig: { maxOutputTokens: 50 } })).status, 200)
  const elsewhere = await fetch(`${router.url}/v1/chat/completions`, {
    method: 'POST',
    headers: { ...json, ...google },
    body: JSON.stringify({ model: 'demo', messages: [{ role: 'user', content: 'Hi' }] }),
  })
  assert.equal(elsewhere.status, 403)
  assert.doesNotMatch(JSON.stringify(router.logs), /google-key/)
})

test('a provider of type gemini needs no api_host, because Google’s is the default', async (t) => {
  const router = await startRouter({
    models: modelsConfig({ flash: [{ api_type: 'gemini', api_token: 'k', model_path: 'gemini-3-flash' }] }),
  })
  t.after(() => router.close())
  const [target] = router.app.models.find('flash')?.targets ?? []
  assert.equal(target?.origin, 'https://generativelanguage.googleapis.com')
  assert.equal(target?.paths.chat, '/v1beta/models/gemini-3-flash:generateContent')
  assert.equal(target?.healthPath, '/v1beta/models?pageSize=1')
})

test('a Gemini stream that fails before its first content fails over', async (t) => {
  const broken = await startUpstream({
    kind: 'stream',
    pieces: [geminiEvent({ candidates: [] })],
    ending: 'end',
  })
  const good = await startUpstream(({ url }) =>
    url.includes('stream')
      ? {
          kind: 'stream',
          pieces: [
            geminiEvent({ candidates: [{ content: { parts: [{ text: 'Hi' }] }, finishReason: 'STOP' }] }),
          ],
        }
      : geminiText('Hi'),
  )
  const provider = (upstream: ScriptedUpstream) => ({
    api_type: 'gemini',
    api_host: `${upstream.url}/v1beta`,
  })
  const router = await startRouter({ models: modelsConfig({ m: [provider(broken), provider(good)] }) })
  t.after(async () => {
    await router.close()
    await broken.close()
    await good.close()
  })
  const response = await fetch(`${router.url}/v1beta/models/m:streamGenerateContent?alt=sse`, {
    method: 'POST',
    headers: json,
    body: JSON.stringify({ contents }),
  })
  assert.match(await response.text(), /"text":"Hi"/)
  assert.equal(good.requests.length, 1)
  assert.equal(good.requests[0]?.url, '/v1beta/models/m:streamGenerateContent?alt=sse')
})
