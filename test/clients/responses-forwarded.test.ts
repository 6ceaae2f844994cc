import assert from 'node:assert/strict'
import { after, before, beforeEach, describe, test } from 'node:test'
import OpenAI, { BadRequestError } from 'openai'
import { checkStream } from '../dialects/responses/grammar.ts'
import { fixture } from '../dialects/responses/support.ts'
import { post } from '../helpers/http.ts'
import { modelsConfig } from '../helpers/models-config.ts'
import { startRouter, type TestRouter } from '../helpers/router.ts'
import * as upstreams from '../helpers/scripted-upstream.ts'
import { type Behaviour, type ScriptedUpstream, startUpstream } from '../helpers/scripted-upstream.ts'

const recorded = fixture('text.sse').toString()

/** The final response of the recorded stream. */
const answer: { id: string; model: string } = JSON.parse(
  /data: (\{"type":"response.completed".*)/.exec(recorded)?.[1] ?? '',
).response

const whole: Behaviour = { kind: 'reply', body: answer }
const stream: Behaviour = { kind: 'stream', pieces: [recorded] }
const unknownAnswer: Behaviour = {
  kind: 'reply',
  status: 404,
  body: {
    error: { message: "Response with id 'resp_x' not found.", type: 'invalid_request_error', code: 404 },
  },
}

describe('an upstream with the Responses API', () => {
  let first: ScriptedUpstream
  let second: ScriptedUpstream
  let router: TestRouter
  let client: OpenAI

  before(async () => {
    first = await startUpstream(whole)
    second = await startUpstream(whole)
    const server = (api_host: string, more: object = {}) => ({ api_type: 'vllm', api_host, ...more })
    router = await startRouter({
      env: { LLM_ROUTER_BALANCE_STRATEGY: 'weighted' },
      models: modelsConfig({
        native: [server(first.url, { responses: true })],
        moved: [server(first.url, { paths: { responses: '/elsewhere/responses' } })],
        both: [
          server(first.url, { responses: true, weight: 1 }),
          server(second.url, { responses: true, weight: 0 }),
        ],
        mixed: [server(first.url, { weight: 1 }), server(second.url, { responses: true, weight: 0 })],
        wrong: [server(second.url, { responses: true })],
      }),
    })
    client = new OpenAI({ baseURL: `${router.url}/v1`, apiKey: 'none', maxRetries: 0 })
  })
  after(async () => {
    await router.close()
    await first.close()
    await second.close()
  })
  beforeEach(() => {
    first.rescript(whole)
    second.rescript(whole)
  })
  const last = (upstream = first) =>
    upstream.requests.at(-1) ?? assert.fail('no request reached the upstream')

  test('receives the request bytes unchanged, including fields that no chat can express', async () => {
    const body =
      '{"model":"native", "input":"Hi",  "background":false, "seed":12345678901234567890, "conversation":"c"}'
    const { status, text } = await post(`${router.url}/v1/responses`, body)
    assert.equal(status, 200, text)
    assert.equal(last().url, '/v1/responses')
    assert.equal(last().raw.toString(), body)
    assert.deepEqual(JSON.parse(text), { ...answer, model: 'native' })
  })

  test('is called at a configured responses path', async () => {
    await client.responses.create({ model: 'moved', input: 'Hi' })
    assert.equal(last().url, '/elsewhere/responses')
  })

  test('streams byte for byte, except for the model name', async () => {
    first.rescript(stream)
    const { text } = await post(`${router.url}/v1/responses`, { model: 'native', input: 'Hi', stream: true })
    assert.equal(text, recorded.replaceAll(JSON.stringify(answer.model), '"native"'))
    const helped = await client.responses.stream({ model: 'native', input: 'Hi' }).finalResponse()
    assert.equal(helped.status, 'completed')
    const line = await router.logged(({ msg, stream }) => msg === 'request' && stream === true)
    assert.deepEqual([line.prompt_tokens, line.completion_tokens], [9, 4])
  })

  test('fails the response with its id and next sequence number if its stream is cut off', async () => {
    const pieces = recorded.split(/(?<=\n\n)/)
    first.rescript({ kind: 'stream', pieces: pieces.slice(0, 6), ending: 'cut' })
    const { text } = await post(`${router.url}/v1/responses`, { model: 'native', input: 'Hi', stream: true })
    const failed = checkStream(text).answer
    assert.deepEqual([failed.id, failed.status, failed.model], [answer.id, 'failed', 'native'])
    assert.match(JSON.stringify(failed.error), /server_error/)
  })

  test("receives the previous response's id, which it resolves itself", async () => {
    await client.responses.create({ model: 'native', input: 'Hi', previous_response_id: 'resp_theirs' })
    assert.match(last().raw.toString(), /"previous_response_id":"resp_theirs"/)
  })

  test('fails over if it does not have the previous response; a 400 is returned if no upstream has it', async () => {
    first.rescript(unknownAnswer)
    await client.responses.create({ model: 'both', input: 'Hi', previous_response_id: 'resp_theirs' })
    assert.match(last(second).raw.toString(), /resp_theirs/)
    second.rescript(unknownAnswer)
    await assert.rejects(
      client.responses.create({ model: 'both', input: 'Hi', previous_response_id: 'resp_theirs' }),
      (error) => error instanceof BadRequestError && error.code === 'previous_response_not_found',
    )
  })

  test('is asked for a previous response only if the router has not stored it', async () => {
    await client.responses.create({ model: 'mixed', input: 'Hi', previous_response_id: 'resp_theirs' })
    assert.equal(last(second).url, '/v1/responses')
    first.rescript(upstreams.openaiText('One'))
    const ours = await client.responses.create({ model: 'mixed', input: 'A' })
    second.rescript(upstreams.openaiText('Two'))
    const next = { model: 'native', input: 'B', previous_response_id: ours.id }
    await client.responses.create(next)
    assert.equal(last().url, '/v1/chat/completions')
    const { messages } = last().body as { messages: { content: string }[] }
    assert.deepEqual(
      messages.map(({ content }) => content),
      ['A', 'One', 'B'],
    )
  })

  test('gets chat requests, without further attempts, once it is found to have no Responses API', async () => {
    second.rescript(({ url }) =>
      url === '/v1/responses'
        ? { kind: 'reply', status: 404, body: { detail: 'Not Found' } }
        : upstreams.openaiText('Hi there'),
    )
    const before = second.requests.length
    for (let turn = 0; turn < 2; turn++) {
      const given = await client.responses.create({ model: 'wrong', input: 'Hi' })
      assert.equal(given.output_text, 'Hi there')
    }
    assert.deepEqual(
      second.requests.slice(before).map(({ url }) => url),
      ['/v1/responses', '/v1/chat/completions', '/v1/chat/completions'],
    )
  })
})
