import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import OpenAI, { BadRequestError, NotFoundError, RateLimitError } from 'openai'
import type { ResponseInput, ResponseStreamEvent, Tool } from 'openai/resources/responses/responses'
import { checkStream } from '../dialects/responses/grammar.ts'
import { post } from '../helpers/http.ts'
import { modelsConfig } from '../helpers/models-config.ts'
import { startRouter, type TestRouter } from '../helpers/router.ts'
import * as upstreams from '../helpers/scripted-upstream.ts'
import { type Behaviour, type ScriptedUpstream, startUpstream } from '../helpers/scripted-upstream.ts'
import { type Answers, ollamaAnswers, openaiAnswers } from './same-answers.ts'

const tools: Tool[] = [
  {
    type: 'function',
    name: 'get_weather',
    parameters: { type: 'object', properties: { city: { type: 'string' } }, required: ['city'] },
    strict: true,
  },
]

interface ResponsesAnswers extends Answers {
  thoughtStream: Behaviour
  cutStream: Behaviour
}

const overOpenai: ResponsesAnswers = {
  ...openaiAnswers,
  thoughtStream: {
    kind: 'stream',
    pieces: [
      upstreams.openaiChunk({ reasoning_content: 'plan' }),
      upstreams.openaiChunk({ content: 'Hi' }),
      upstreams.openaiChunk({}, 'stop'),
      upstreams.openaiDone,
    ],
  },
  cutStream: {
    kind: 'stream',
    pieces: [
      upstreams.openaiChunk({ content: 'Once' }),
      upstreams.openaiChunk({}, 'length'),
      upstreams.openaiDone,
    ],
  },
}
const overOllama: ResponsesAnswers = {
  ...ollamaAnswers,
  thoughtStream: upstreams.ollamaPieces([
    upstreams.ollamaLine({ thinking: 'plan' }),
    upstreams.ollamaLine({ content: 'Hi' }),
    upstreams.ollamaDone(),
  ]),
  cutStream: upstreams.ollamaPieces([
    upstreams.ollamaLine({ content: 'Once' }),
    upstreams.ollamaLine({}, { done: true, done_reason: 'length' }),
  ]),
}

interface SentMessage {
  role: string
  content: unknown
  tool_call_id?: string
  tool_calls?: { id: string }[]
}

for (const type of ['openai', 'vllm', 'ollama']) {
  const answers = type === 'ollama' ? overOllama : overOpenai
  describe(`the Responses API of the official client over an upstream of type ${type}`, () => {
    let upstream: ScriptedUpstream
    let router: TestRouter
    let client: OpenAI

    before(async () => {
      upstream = await startUpstream(answers.text)
      const provider = { api_type: type, api_host: upstream.url, model_path: upstreams.upstreamModel }
      router = await startRouter({ models: modelsConfig({ small: [provider] }) })
      client = new OpenAI({ baseURL: `${router.url}/v1`, apiKey: 'client-key', maxRetries: 0 })
    })
    after(async () => {
      await router.close()
      await upstream.close()
    })

    /** The messages of the last upstream request. */
    function sentMessages(): SentMessage[] {
      const body = upstream.requests.at(-1)?.body as { messages: SentMessage[] }
      return body.messages
    }

    test("gets a whole response with the alias as its model and the upstream's token counts", async () => {
      upstream.rescript(answers.text)
      const answer = await client.responses.create({
        model: 'small',
        input: 'Hello',
        instructions: 'Be brief',
      })
      assert.equal(answer.output_text, 'Hi there')
      assert.equal(answer.model, 'small')
      assert.equal(answer.status, 'completed')
      assert.match(answer.id, /^resp_\w{24,}$/)
      assert.equal(answer.instructions, 'Be brief')
      assert.deepEqual(
        [answer.usage?.input_tokens, answer.usage?.output_tokens, answer.usage?.total_tokens],
        [9, 3, 12],
      )
      assert.deepEqual(
        sentMessages().map(({ role, content }) => [role, content]),
        [
          ['system', 'Be brief'],
          ['user', 'Hello'],
        ],
      )
    })

    test('gets a stream whose helper resolves to the same response', async () => {
      upstream.rescript(answers.stream)
      const stream = client.responses.stream({ model: 'small', input: 'Hello' })
      const deltas: string[] = []
      stream.on('response.output_text.delta', ({ delta }) => deltas.push(delta))
      const answer = await stream.finalResponse()
      assert.deepEqual(deltas, ['Hi', ' there'])
      assert.equal(answer.output_text, 'Hi there')
      assert.equal(answer.status, 'completed')
      assert.equal(answer.usage?.total_tokens, 12)
    })

    test("gets the model's reasoning as a summary before the message", async () => {
      upstream.rescript(answers.thoughtStream)
      const answer = await client.responses.stream({ model: 'small', input: 'Hello' }).finalResponse()
      assert.deepEqual(
        answer.output.map((item) => item.type),
        ['reasoning', 'message'],
      )
      const [thoughts] = answer.output
      assert.deepEqual(thoughts?.type === 'reasoning' && thoughts.summary, [
        { type: 'summary_text', text: 'plan' },
      ])
    })

    test('calls a tool, whole and streamed, and the tool output refers to its call', async () => {
      upstream.rescript([answers.toolCall, answers.toolCallStream, answers.text])
      const whole = await client.responses.create({ model: 'small', input: 'Weather?', tools })
      const streamed = await client.responses
        .stream({ model: 'small', input: 'Weather?', tools })
        .finalResponse()
      for (const answer of [whole, streamed]) {
        const [call] = answer.output
        assert.ok(call?.type === 'function_call')
        assert.equal(call.name, 'get_weather')
        assert.deepEqual(JSON.parse(call.arguments), { city: 'Oslo' })
        assert.equal(answer.status, 'completed')
      }
      const [call] = streamed.output
      assert.ok(call?.type === 'function_call')
      await client.responses.create({
        model: 'small',
        tools,
        input: [
          { role: 'user', content: 'Weather?' },
          call,
          { type: 'function_call_output', call_id: call.call_id, output: '3 degrees' },
        ],
      })
      const [, assistant, result] = sentMessages()
      assert.equal(assistant?.tool_calls?.length, 1)
      assert.equal(result?.role, 'tool')
      assert.equal(result?.content, '3 degrees')
      if (type !== 'ollama') assert.equal(result?.tool_call_id, assistant?.tool_calls?.[0]?.id)
    })

    test('gets an incomplete response when the token limit is reached', async () => {
      upstream.rescript(answers.cutStream)
      const events: ResponseStreamEvent[] = await Array.fromAsync(
        await client.responses.create({
          model: 'small',
          input: 'Hello',
          stream: true,
          max_output_tokens: 16,
        }),
      )
      const last = events.at(-1)
      assert.ok(last?.type === 'response.incomplete')
      assert.equal(last.response.incomplete_details?.reason, 'max_output_tokens')
      assert.equal(last.response.max_output_tokens, 16)
    })

    test("gets a failed response with the stream's id and sequence numbers when a stream is cut off", async () => {
      upstream.rescript(answers.brokenStream)
      const body = { model: 'small', input: 'Hello', stream: true }
      const { answer } = checkStream((await post(`${router.url}/v1/responses`, body)).text)
      assert.equal(answer.status, 'failed')
      assert.match(JSON.stringify(answer.output), /"Hi"/)
      const helped = await client.responses.stream({ model: 'small', input: 'Hello' }).finalResponse()
      assert.equal(helped.status, 'failed')
      await assert.rejects(client.responses.retrieve(String(answer.id)), NotFoundError)
    })

    test('gets typed errors for an unknown model, a rejected parameter and a rate limit', async () => {
      await assert.rejects(
        client.responses.create({ model: 'nope', input: 'Hello' }),
        (error) => error instanceof NotFoundError && error.code === 'model_not_found',
      )
      await assert.rejects(
        client.responses.create({ model: 'small', input: 'Hello', background: true }),
        (error) =>
          error instanceof BadRequestError &&
          error.code === 'unsupported_parameter' &&
          error.param === 'background',
      )
      upstream.rescript(
        type === 'ollama'
          ? upstreams.ollamaError(429, 'slow down')
          : upstreams.openaiError(429, { message: 'slow down' }),
      )
      await assert.rejects(client.responses.create({ model: 'small', input: 'Hello' }), RateLimitError)
    })

    test('gets only events that follow the stream grammar', async () => {
      for (const behaviour of [answers.stream, answers.thoughtStream, answers.toolCallStream]) {
        upstream.rescript(behaviour)
        const body = { model: 'small', input: 'Hello', stream: true, tools }
        const { answer } = checkStream((await post(`${router.url}/v1/responses`, body)).text)
        assert.equal(answer.status, 'completed')
      }
    })
  })
}

describe('stored responses', () => {
  let upstream: ScriptedUpstream
  let router: TestRouter
  let client: OpenAI

  before(async () => {
    upstream = await startUpstream(openaiAnswers.text)
    const provider = { api_type: 'vllm', api_host: upstream.url, model_path: upstreams.upstreamModel }
    router = await startRouter({ models: modelsConfig({ small: [provider] }) })
    client = new OpenAI({ baseURL: `${router.url}/v1`, apiKey: 'none', maxRetries: 0 })
  })
  after(async () => {
    await router.close()
    await upstream.close()
  })

  function sent(): (readonly [string, unknown])[] {
    const body = upstream.requests.at(-1)?.body as { messages: SentMessage[] }
    return body.messages.map(({ role, content }) => [role, content] as const)
  }

  test('can be continued over several turns, whole and streamed, without their instructions', async () => {
    upstream.rescript([
      upstreams.openaiText('One'),
      upstreams.openaiStream(['Two']),
      upstreams.openaiText('Three'),
    ])
    const first = await client.responses.create({ model: 'small', input: 'A', instructions: 'Old' })
    const second = await client.responses
      .stream({ model: 'small', input: 'B', previous_response_id: first.id, instructions: 'New' })
      .finalResponse()
    assert.equal(second.previous_response_id, first.id)
    await client.responses.create({ model: 'small', input: 'C', previous_response_id: second.id })
    assert.deepEqual(sent(), [
      ['user', 'A'],
      ['assistant', 'One'],
      ['user', 'B'],
      ['assistant', 'Two'],
      ['user', 'C'],
    ])
  })

  test('can be continued by a tool output alone', async () => {
    upstream.rescript([openaiAnswers.toolCall, openaiAnswers.text])
    const asked = await client.responses.create({ model: 'small', input: 'Weather?', tools })
    const [call] = asked.output
    assert.ok(call?.type === 'function_call')
    const output = { type: 'function_call_output', call_id: call.call_id, output: '3 degrees' } as const
    await client.responses.create({ model: 'small', input: [output], previous_response_id: asked.id, tools })
    assert.deepEqual(
      sent().map(([role]) => role),
      ['user', 'assistant', 'tool'],
    )
  })

  test('resolve references to their items', async () => {
    upstream.rescript(upstreams.openaiText('One'))
    const first = await client.responses.create({ model: 'small', input: 'A' })
    const input: ResponseInput = [
      { role: 'user', content: 'A' },
      { type: 'item_reference', id: first.output[0]?.id ?? '' },
      { role: 'user', content: 'B' },
    ]
    await client.responses.create({ model: 'small', input })
    assert.deepEqual(sent(), [
      ['user', 'A'],
      ['assistant', 'One'],
      ['user', 'B'],
    ])
  })

  test('can be read by id, and cannot be used after they are deleted', async () => {
    upstream.rescript(openaiAnswers.text)
    const answer = await client.responses.create({ model: 'small', input: 'A' })
    const read = await client.responses.retrieve(answer.id)
    assert.deepEqual([read.id, read.output_text], [answer.id, 'Hi there'])
    // OpenAI's Python client sends a content type without a body.
    const headers = { 'content-type': 'application/json' }
    const gone = await fetch(`${router.url}/v1/responses/${answer.id}`, { method: 'DELETE', headers })
    assert.deepEqual(await gone.json(), { id: answer.id, object: 'response', deleted: true })
    await assert.rejects(client.responses.retrieve(answer.id), NotFoundError)
    await assert.rejects(client.responses.delete(answer.id), NotFoundError)
    await assert.rejects(
      client.responses.create({ model: 'small', input: 'B', previous_response_id: answer.id }),
      (error) =>
        error instanceof BadRequestError &&
        error.param === 'previous_response_id' &&
        error.code === 'previous_response_not_found',
    )
  })

  test('are not stored if the client says so', async () => {
    upstream.rescript(openaiAnswers.text)
    const answer = await client.responses.create({ model: 'small', input: 'A', store: false })
    assert.equal('store' in answer && answer.store, false)
    await assert.rejects(client.responses.retrieve(answer.id), NotFoundError)
  })

  test('work on every path of the endpoint', async () => {
    upstream.rescript(openaiAnswers.text)
    for (const path of ['/responses', '/api/responses']) {
      const { status, text } = await post(`${router.url}${path}`, { model: 'small', input: 'A' })
      assert.equal(status, 200, path)
      const answer: { id: string } = JSON.parse(text)
      assert.equal((await fetch(`${router.url}${path}/${answer.id}`)).status, 200, path)
    }
  })

  test('fields that no upstream supports are named in a header', async () => {
    upstream.rescript(openaiAnswers.text)
    const answer = await post(`${router.url}/v1/responses`, {
      model: 'small',
      input: 'A',
      tools: [{ type: 'web_search' }],
      text: { verbosity: 'low' },
    })
    assert.equal(answer.status, 200)
    const lost = answer.headers.get('x-llm-router-lost') ?? ''
    assert.ok(lost.includes('tools.web_search'), lost)
    assert.ok(lost.includes('verbosity'), lost)
  })
})
