import assert from 'node:assert/strict'
import { after, before, beforeEach, describe, test } from 'node:test'
import Anthropic from '@anthropic-ai/sdk'
import { Ollama } from 'ollama'
import OpenAI from 'openai'
import { messages } from '../../helpers/messages.ts'
import { modelsConfig } from '../../helpers/models-config.ts'
import { startRouter, type TestRouter } from '../../helpers/router.ts'
import { type ScriptedUpstream, startUpstream } from '../../helpers/scripted-upstream.ts'
import { geminiAnswer, geminiError, geminiEvent, geminiStream, geminiText } from '../gemini-answers.ts'

const png = 'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=='
const parameters = { type: 'object', properties: { city: { type: 'string' } }, required: ['city'] }
const signedCall = {
  functionCall: { name: 'get_weather', args: { city: 'Oslo' } },
  thoughtSignature: 'c2lnbmF0dXJlIA==',
}
const openaiTools = [
  { type: 'function' as const, function: { name: 'get_weather', description: 'Weather', parameters } },
]

describe('a Gemini upstream', () => {
  let upstream: ScriptedUpstream
  let router: TestRouter
  let openai: OpenAI
  let anthropic: Anthropic
  let ollama: Ollama

  before(async () => {
    upstream = await startUpstream(geminiText('Hi there'))
    const provider = { api_type: 'gemini', api_host: upstream.url, api_token: 'upstream-key' }
    router = await startRouter({
      models: modelsConfig({
        small: [{ ...provider, model_path: 'gemini-3-flash' }],
        older: [{ ...provider, model_path: 'models/gemini-2.5-flash' }],
        limited: [
          {
            ...provider,
            model_path: 'gemini-3-flash',
            defaults: { max_tokens: 777, stop: ['END'], min_p: 0.1 },
          },
        ],
        toolless: [{ ...provider, model_path: 'gemini-3-flash', tool_calling: false }],
      }),
    })
    openai = new OpenAI({ baseURL: `${router.url}/v1`, apiKey: 'client-key', maxRetries: 0 })
    anthropic = new Anthropic({ baseURL: router.url, apiKey: 'client-key', maxRetries: 0 })
    ollama = new Ollama({ host: router.url })
  })
  beforeEach(() => upstream.rescript(geminiText('Hi there')))
  after(async () => {
    await router.close()
    await upstream.close()
  })

  function lastBody(): Record<string, unknown> {
    return Object(upstream.requests.at(-1)?.body)
  }

  test('is called at the path of model and method, with the key in its own header and no model in the body', async () => {
    await openai.chat.completions.create({ model: 'older', messages })
    const whole = upstream.requests.at(-1)
    assert.equal(whole?.url, '/v1beta/models/gemini-2.5-flash:generateContent')
    assert.equal(whole?.headers['x-goog-api-key'], 'upstream-key')
    assert.equal(whole?.headers.authorization, undefined)
    assert.deepEqual(
      Object.keys(lastBody()).filter((name) => name === 'model' || name === 'stream'),
      [],
    )
    upstream.rescript(geminiStream([{ text: 'Hi' }]))
    const stream = await openai.chat.completions.create({ model: 'older', messages, stream: true })
    for await (const _chunk of stream);
    assert.equal(
      upstream.requests.at(-1)?.url,
      '/v1beta/models/gemini-2.5-flash:streamGenerateContent?alt=sse',
    )
  })

  test('receives every field in its own form', async () => {
    await openai.chat.completions.create({
      model: 'small',
      messages: [
        { role: 'system', content: 'Be brief' },
        {
          role: 'user',
          content: [
            { type: 'text', text: 'What is this?' },
            { type: 'image_url', image_url: { url: `data:image/png;base64,${png}` } },
          ],
        },
      ],
      tools: openaiTools,
      tool_choice: { type: 'function', function: { name: 'get_weather' } },
      temperature: 0.5,
      top_p: 0.9,
      max_completion_tokens: 100,
      stop: ['END'],
      seed: 1,
      reasoning_effort: 'low',
      response_format: { type: 'json_schema', json_schema: { name: 'answer', schema: parameters } },
    })
    assert.deepEqual(lastBody(), {
      systemInstruction: { parts: [{ text: 'Be brief' }] },
      contents: [
        {
          role: 'user',
          parts: [{ text: 'What is this?' }, { inlineData: { mimeType: 'image/png', data: png } }],
        },
      ],
      tools: [
        {
          functionDeclarations: [
            { name: 'get_weather', description: 'Weather', parametersJsonSchema: parameters },
          ],
        },
      ],
      toolConfig: { functionCallingConfig: { mode: 'ANY', allowedFunctionNames: ['get_weather'] } },
      generationConfig: {
        maxOutputTokens: 100,
        temperature: 0.5,
        topP: 0.9,
        seed: 1,
        stopSequences: ['END'],
        responseMimeType: 'application/json',
        responseJsonSchema: parameters,
        thinkingConfig: { includeThoughts: true, thinkingLevel: 'low' },
      },
    })
  })

  test('receives a thinking budget in place of a level if it is of an older generation', async () => {
    await openai.chat.completions.create({ model: 'older', messages, reasoning_effort: 'medium' })
    assert.deepEqual(lastBody().generationConfig, {
      thinkingConfig: { includeThoughts: true, thinkingBudget: 8192 },
    })
    await openai.chat.completions.create({ model: 'older', messages, reasoning_effort: 'none' })
    assert.deepEqual(lastBody().generationConfig, { thinkingConfig: { thinkingBudget: 0 } })
  })

  test('receives its configured defaults in its own form', async () => {
    await openai.chat.completions.create({ model: 'limited', messages, temperature: 1 })
    assert.deepEqual(lastBody().generationConfig, {
      temperature: 1,
      maxOutputTokens: 777,
      stopSequences: ['END'],
    })
  })

  test('reports the fields that it cannot express', async () => {
    const { response } = await openai.chat.completions
      .create({ model: 'small', messages, logit_bias: { 1: 1 } })
      .withResponse()
    assert.equal(response.headers.get('x-llm-router-lost'), 'logit_bias')
  })

  test('receives images with the media type found in their bytes', async () => {
    const image_url = { url: 'data:image/jpg;base64,/9j/4AAQSkZJRgAB' }
    const content = [{ type: 'image_url' as const, image_url }]
    await openai.chat.completions.create({ model: 'small', messages: [{ role: 'user', content }] })
    const [{ parts }] = [lastBody().contents].flat().map(Object)
    assert.equal(parts[0].inlineData.mimeType, 'image/jpeg')
  })

  test('receives a seed that fits into 32 bits, and the rest is reported', async () => {
    const sent = async (seed: number): Promise<unknown[]> => {
      const asked = openai.chat.completions.create({ model: 'small', messages, seed })
      const { response } = await asked.withResponse()
      const { seed: received } = Object(lastBody().generationConfig)
      return [received, response.headers.get('x-llm-router-lost')]
    }
    assert.deepEqual(await sent(4_000_000_000), [-294_967_296, 'seed'])
    assert.deepEqual(await sent(2_147_483_647), [2_147_483_647, null])
    assert.deepEqual(await sent(-1), [-1, null])
  })

  test('returns reasoning, and counts cached and reasoning tokens', async () => {
    const usageMetadata = {
      promptTokenCount: 9,
      candidatesTokenCount: 3,
      thoughtsTokenCount: 5,
      cachedContentTokenCount: 4,
      totalTokenCount: 17,
    }
    upstream.rescript({
      kind: 'reply',
      body: {
        candidates: [
          { content: { parts: [{ text: 'Hm', thought: true }, { text: 'Hi' }] }, finishReason: 'STOP' },
        ],
        usageMetadata,
      },
    })
    const { choices, usage } = await openai.chat.completions.create({ model: 'small', messages })
    assert.deepEqual(Object(choices[0]?.message).reasoning_content, 'Hm')
    assert.equal(choices[0]?.message.content, 'Hi')
    assert.deepEqual([usage?.prompt_tokens, usage?.completion_tokens, usage?.total_tokens], [9, 8, 17])
    assert.equal(usage?.prompt_tokens_details?.cached_tokens, 4)
    assert.equal(usage?.completion_tokens_details?.reasoning_tokens, 5)
  })

  test('ends with the right reason: length, filter, blocked prompt or failed call', async () => {
    const reasonOf = async (body: object): Promise<string | undefined> => {
      upstream.rescript({ kind: 'reply', body })
      const { choices } = await openai.chat.completions.create({ model: 'small', messages })
      return choices[0]?.finish_reason
    }
    const ended = (finishReason: string) => ({
      candidates: [{ content: { parts: [{ text: 'Hi' }] }, finishReason }],
    })
    assert.equal(await reasonOf(ended('MAX_TOKENS')), 'length')
    for (const reason of ['SAFETY', 'RECITATION', 'PROHIBITED_CONTENT', 'SPII', 'BLOCKLIST'])
      assert.equal(await reasonOf(ended(reason)), 'content_filter', reason)
    assert.equal(await reasonOf({ promptFeedback: { blockReason: 'SAFETY' } }), 'content_filter')
    assert.equal(await reasonOf({ candidates: [{ finishReason: 'SAFETY', index: 0 }] }), 'content_filter')
    await assert.rejects(reasonOf(ended('MALFORMED_FUNCTION_CALL')), /502/)
    upstream.rescript({
      kind: 'stream',
      pieces: [geminiEvent({ promptFeedback: { blockReason: 'OTHER' } })],
    })
    const stream = await openai.chat.completions.create({ model: 'small', messages, stream: true })
    const reasons = []
    for await (const { choices } of stream) reasons.push(choices[0]?.finish_reason)
    assert.ok(reasons.includes('content_filter') || reasons.length === 0)
  })

  test('may have a candidate without content, and the choices keep their order', async () => {
    const candidate = (index: number, text?: string) => ({
      content: { parts: text === undefined ? [] : [{ text }], role: 'model' },
      finishReason: 'STOP',
      index,
    })
    const body = { candidates: [candidate(1, 'two'), candidate(0, 'one'), candidate(2)] }
    upstream.rescript({ kind: 'reply', body })
    const { choices } = await openai.chat.completions.create({ model: 'small', messages, n: 3 })
    assert.deepEqual(
      choices.map(({ index, message }) => [index, message.content]),
      [
        [0, 'one'],
        [1, 'two'],
        [2, ''],
      ],
    )
  })

  test('may respond with a list of chunks, as a server without server-sent events does', async () => {
    const chunk = (text: string, more: object = {}) => ({
      candidates: [{ content: { parts: [{ text }], role: 'model' }, index: 0, ...more }],
    })
    upstream.rescript({ kind: 'reply', body: [chunk('Hi'), chunk(' there', { finishReason: 'STOP' })] })
    const streamed = await openai.chat.completions.stream({ model: 'small', messages }).finalChatCompletion()
    assert.equal(streamed.choices[0]?.message.content, 'Hi there')
  })

  test('has its errors returned, and those about its key as errors of the router', async () => {
    const statusOf = async (code: number, status: string, message?: string): Promise<unknown> => {
      upstream.rescript(geminiError(code, status, message))
      const refused = await openai.chat.completions
        .create({ model: 'small', messages })
        .catch((error) => error)
      return [Object(refused).status, Object(refused).code]
    }
    assert.deepEqual(await statusOf(400, 'INVALID_ARGUMENT'), [400, null])
    assert.deepEqual(await statusOf(429, 'RESOURCE_EXHAUSTED'), [429, 'rate_limit_exceeded'])
    assert.deepEqual(await statusOf(503, 'UNAVAILABLE'), [503, 'overloaded'])
    assert.deepEqual(await statusOf(403, 'PERMISSION_DENIED'), [403, 'upstream_forbidden'])
    const invalid = 'API key not valid. Please pass a valid API key.'
    assert.deepEqual(await statusOf(400, 'INVALID_ARGUMENT', invalid), [502, 'upstream_auth'])
  })

  test('is offered no tools if it is configured without tools', async () => {
    await openai.chat.completions.create({ model: 'toolless', messages, tools: openaiTools })
    assert.equal(lastBody().tools, undefined)
    await fetch(`${router.url}/v1beta/models/toolless:generateContent`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({
        contents: [{ parts: [{ text: 'Hi' }] }],
        tools: [{ functionDeclarations: [{ name: 'f' }] }],
        toolConfig: { functionCallingConfig: { mode: 'ANY' } },
      }),
    })
    assert.deepEqual(Object.keys(lastBody()), ['contents'])
  })

  test('gets its thought signature back through an OpenAI client, whole and streamed', async () => {
    upstream.rescript(geminiAnswer([signedCall]))
    const whole = await openai.chat.completions.create({ model: 'small', messages, tools: openaiTools })
    upstream.rescript(geminiStream([signedCall]))
    const streamed = await openai.chat.completions
      .stream({ model: 'small', messages, tools: openaiTools })
      .finalChatCompletion()
    for (const { choices } of [whole, streamed]) {
      const message = choices[0]?.message ?? assert.fail()
      upstream.rescript(geminiText('Cold'))
      await openai.chat.completions.create({
        model: 'small',
        messages: [
          ...messages,
          message,
          { role: 'tool', tool_call_id: message.tool_calls?.[0]?.id ?? '', content: '3 degrees' },
        ],
        tools: openaiTools,
      })
      assertSignedTurn()
    }
  })

  test('gets its thought signature back through an Anthropic client', async () => {
    const tools = [{ name: 'get_weather', input_schema: { type: 'object' as const, properties: {} } }]
    const question = { model: 'small', max_tokens: 100, tools }
    upstream.rescript(geminiStream([{ text: 'Hm', thought: true }, signedCall]))
    const { content } = await anthropic.messages
      .stream({ ...question, messages: [{ role: 'user', content: 'Weather?' }] })
      .finalMessage()
    const call = content.find((block) => block.type === 'tool_use') ?? assert.fail('there is no call')
    assert.match(call.id, /^[a-zA-Z0-9_-]+$/)
    upstream.rescript(geminiText('Cold'))
    await anthropic.messages.create({
      ...question,
      messages: [
        { role: 'user', content: 'Weather?' },
        { role: 'assistant', content },
        { role: 'user', content: [{ type: 'tool_result', tool_use_id: call.id, content: '3 degrees' }] },
      ],
    })
    assertSignedTurn()
  })

  test('gets its thought signature back through Responses', async () => {
    const tools = [{ type: 'function' as const, name: 'get_weather', strict: false, parameters }]
    upstream.rescript(geminiAnswer([signedCall]))
    const { output } = await openai.responses.create({
      model: 'small',
      input: 'Weather?',
      tools,
      store: false,
    })
    const call = output.find((item) => item.type === 'function_call') ?? assert.fail('there is no call')
    upstream.rescript(geminiText('Cold'))
    await openai.responses.create({
      model: 'small',
      tools,
      store: false,
      input: [
        { role: 'user', content: 'Weather?' },
        call,
        { type: 'function_call_output', call_id: call.call_id, output: '3 degrees' },
      ],
    })
    assertSignedTurn()
  })

  test('is asked to skip signature validation for calls without one, as those of an Ollama client', async () => {
    const call = { function: { name: 'get_weather', arguments: { city: 'Oslo' } } }
    await ollama.chat({
      model: 'small',
      messages: [
        { role: 'user', content: 'Weather?' },
        { role: 'assistant', content: '', tool_calls: [call, call] },
        { role: 'tool', content: '3 degrees', tool_name: 'get_weather' },
        { role: 'tool', content: '4 degrees', tool_name: 'get_weather' },
      ],
    })
    const [, model, results] = Object(lastBody().contents)
    assert.deepEqual(
      model.parts.map(({ thoughtSignature }: { thoughtSignature?: string }) => thoughtSignature),
      ['skip_thought_signature_validator', undefined],
    )
    assert.deepEqual(
      results.parts.map(
        (part: { functionResponse: { response: unknown } }) => part.functionResponse.response,
      ),
      [{ output: '3 degrees' }, { output: '4 degrees' }],
    )
  })

  test('serves embeddings to an OpenAI client, for one input or several', async () => {
    upstream.rescript({ kind: 'reply', body: { embedding: { values: [0.5, 0.25] } } })
    const one = await openai.embeddings.create({ model: 'small', input: 'Hello', encoding_format: 'float' })
    assert.deepEqual(one.data[0]?.embedding, [0.5, 0.25])
    assert.equal(upstream.requests.at(-1)?.url, '/v1beta/models/gemini-3-flash:embedContent')
    upstream.rescript({ kind: 'reply', body: { embeddings: [{ values: [1, 0] }, { values: [0, 1] }] } })
    const two = await openai.embeddings.create({
      model: 'small',
      input: ['a', 'b'],
      dimensions: 2,
      encoding_format: 'float',
    })
    assert.deepEqual(
      two.data.map(({ embedding }) => embedding),
      [
        [1, 0],
        [0, 1],
      ],
    )
    assert.equal(upstream.requests.at(-1)?.url, '/v1beta/models/gemini-3-flash:batchEmbedContents')
    assert.deepEqual(lastBody(), {
      requests: ['a', 'b'].map((text) => ({
        model: 'models/gemini-3-flash',
        content: { parts: [{ text }] },
        outputDimensionality: 2,
      })),
    })
  })

  test('counts the prompt tokens of an Anthropic client', async () => {
    upstream.rescript({ kind: 'reply', body: { totalTokens: 31 } })
    const counted = await anthropic.messages.countTokens({
      model: 'small',
      system: 'Be brief',
      messages,
    })
    assert.equal(counted.input_tokens, 31)
    assert.equal(upstream.requests.at(-1)?.url, '/v1beta/models/gemini-3-flash:countTokens')
    assert.deepEqual(lastBody(), {
      generateContentRequest: {
        model: 'models/gemini-3-flash',
        systemInstruction: { parts: [{ text: 'Be brief' }] },
        contents: [{ role: 'user', parts: [{ text: 'Hello' }] }],
      },
    })
  })

  function assertSignedTurn(): void {
    const [, model, results] = Object(lastBody().contents)
    const call = model.parts.at(-1)
    assert.equal(call.thoughtSignature, signedCall.thoughtSignature)
    assert.deepEqual(call.functionCall.args, { city: 'Oslo' })
    assert.doesNotMatch(call.functionCall.id, /sig/)
    assert.deepEqual(results.parts, [
      {
        functionResponse: {
          id: call.functionCall.id,
          name: 'get_weather',
          response: { output: '3 degrees' },
        },
      },
    ])
  }
})

test('a signature of Gemini’s OpenAI endpoint is returned to it through clients of other dialects', async (t) => {
  const upstream = await startUpstream({ kind: 'hang' })
  t.after(() => upstream.close())
  const provider = { api_type: 'openai', api_host: upstream.url, model_path: 'gemini-3-flash' }
  const router = await startRouter({ models: modelsConfig({ small: [provider] }) })
  t.after(() => router.close())
  const anthropic = new Anthropic({ baseURL: router.url, apiKey: 'client-key', maxRetries: 0 })
  const call = {
    id: 'call_1',
    type: 'function',
    function: { name: 'f', arguments: '{}' },
    extra_content: { google: { thought_signature: 'SIG123' } },
  }
  const message = { role: 'assistant', content: null, tool_calls: [call] }
  upstream.rescript({
    kind: 'reply',
    body: { choices: [{ index: 0, message, finish_reason: 'tool_calls' }] },
  })
  const tools = [{ name: 'f', input_schema: { type: 'object' as const } }]
  const question = { model: 'small', max_tokens: 100, tools }
  const first = { role: 'user' as const, content: 'Hi' }
  const whole = await anthropic.messages.create({ ...question, messages: [first] })
  const chunk = {
    choices: [{ index: 0, delta: { tool_calls: [{ index: 0, ...call }] }, finish_reason: null }],
  }
  const end = { choices: [{ index: 0, delta: {}, finish_reason: 'tool_calls' }] }
  upstream.rescript({
    kind: 'stream',
    pieces: [...[chunk, end].map((data) => `data: ${JSON.stringify(data)}\n\n`), 'data: [DONE]\n\n'],
  })
  const streamed = await anthropic.messages.stream({ ...question, messages: [first] }).finalMessage()
  for (const { content } of [whole, streamed]) {
    const used = content.find((block) => block.type === 'tool_use') ?? assert.fail('there is no call')
    upstream.rescript({ kind: 'reply', body: { choices: [{ index: 0, message: { content: 'ok' } }] } })
    await anthropic.messages.create({
      ...question,
      messages: [
        first,
        { role: 'assistant', content },
        { role: 'user', content: [{ type: 'tool_result', tool_use_id: used.id, content: 'r' }] },
      ],
    })
    const [, turn, result] = Object(upstream.requests.at(-1)?.body).messages
    assert.deepEqual(turn.tool_calls, [call])
    assert.equal(result.tool_call_id, 'call_1')
  }
})
