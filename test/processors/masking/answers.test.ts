import assert from 'node:assert/strict'
import { test } from 'node:test'
import { isObject } from '../../../src/lib/json/read.ts'
import { eventsIn } from '../../helpers/events-in.ts'
import { post } from '../../helpers/http.ts'
import { startRouter } from '../../helpers/router.ts'
import { openaiDone, openaiEvent, startUpstream } from '../../helpers/scripted-upstream.ts'
import { askIn } from '../dialect-players.ts'
import { startEcho } from '../echo-upstream.ts'
import { address, chat, maskingRig } from './rig.ts'

const rig = maskingRig()
const { open, routerWith, sent } = rig

test('"unmask": false leaves pseudonyms in responses', async () => {
  const router = await routerWith([{ type: 'masking', unmask: false }])
  const received = await askIn('openai', router.url, address, { stream: false })
  assert.match(received.text, /^You said: EMAIL_/)
})

test('structured output remains valid JSON with any value', async () => {
  const upstream = await startEcho({
    cut: (text) => [...text],
    say: (text) => ({ text: JSON.stringify({ name: /[A-Z]+_\w{8}/.exec(text)?.[0] }) }),
  })
  open.push(upstream)
  const router = await routerWith([{ type: 'masking', expressions: { QUOTED: '<[^>]*>' } }], {
    upstream: upstream.url,
  })
  for (const stream of [false, true]) {
    const received = await askIn('openai', router.url, 'x <a"b\\c> y', {
      stream,
      more: { response_format: { type: 'json_object' } },
    })
    assert.deepEqual(JSON.parse(received.text), { name: '<a"b\\c>' })
  }
})

test('responses are stored with their values, and continued with the whole history masked', async () => {
  const router = await routerWith([{ type: 'masking' }])
  const first = await post(`${router.url}/v1/responses`, { model: 'm', input: `I am ${address}` })
  const { id } = JSON.parse(first.text)
  const stored = await (await fetch(`${router.url}/v1/responses/${id}`)).text()
  assert.ok(stored.includes(address))
  assert.doesNotMatch(stored, /EMAIL_/)
  const second = await post(`${router.url}/v1/responses`, {
    model: 'm',
    input: 'Who am I?',
    previous_response_id: id,
  })
  assert.equal(second.status, 200, second.text)
  const raw = sent().raw.toString()
  assert.ok(raw.includes('You said: I am EMAIL_'))
  assert.equal(raw.includes(address), false)
  const before = rig.echo.requests.length
  const counting = { model: 'm', input: 'Who am I?', previous_response_id: id }
  const counted = await post(`${router.url}/v1/responses/input_tokens`, counting)
  assert.equal(counted.status, 200, counted.text)
  for (const request of rig.echo.requests.slice(before)) assert.equal(request.raw.includes(address), false)
  assert.ok(rig.echo.requests.length > before, 'the engine was asked to count tokens')
  for (const more of [{ background: true }, { conversation: 'c1' }])
    assert.equal((await post(`${router.url}/v1/responses`, { model: 'm', input: 'x', ...more })).status, 403)
})

test('signed thinking is sent back to its upstream exactly as the upstream wrote it', async () => {
  const upstream = await startEcho({
    cut: (text) => [...text],
    say: (text) => ({
      text: 'ok',
      reasoning: `about ${(/EMAIL_\w{8}/.exec(text)?.[0] ?? '').toLowerCase()}`,
    }),
  })
  open.push(upstream)
  const providers = [{ api_type: 'anthropic', api_host: upstream.url, model_path: 'up' }]
  const router = await startRouter({
    models: { processors: [{ type: 'masking' }], g: { m: { providers } }, active_models: { g: ['m'] } },
  })
  open.push(router)
  const first = { role: 'user', content: address }
  for (const stream of [false, true]) {
    const { text } = await post(`${router.url}/v1/messages`, {
      model: 'm',
      max_tokens: 10,
      stream,
      messages: [first],
    })
    let thinking = ''
    let signature = ''
    if (stream)
      for (const { delta } of eventsIn(text)) {
        if (!isObject(delta)) continue
        thinking += typeof delta.thinking === 'string' ? delta.thinking : ''
        signature += typeof delta.signature === 'string' ? delta.signature : ''
      }
    else ({ thinking, signature } = JSON.parse(text).content[0])
    assert.equal(thinking, `about ${address}`)
    assert.notEqual(signature, 'c2ln')
    const turn = {
      role: 'assistant',
      content: [
        { type: 'thinking', thinking, signature },
        { type: 'text', text: 'ok' },
      ],
    }
    const messages = [first, turn, { role: 'user', content: 'Go on' }]
    const again = await post(`${router.url}/v1/messages`, { model: 'm', max_tokens: 10, messages })
    assert.equal(again.status, 200, again.text)
    const body = JSON.parse(upstream.requests.at(-1)?.raw.toString() ?? '')
    assert.match(body.messages[1].content[0].thinking, /^about email_\w{8}$/)
    assert.equal(body.messages[1].content[0].signature, 'c2ln')
  }
})

test('token log probabilities are removed and reported', async () => {
  const upstream = await startUpstream({
    kind: 'reply',
    body: {
      id: 'x',
      object: 'chat.completion',
      created: 1,
      model: 'up',
      choices: [
        {
          index: 0,
          message: { role: 'assistant', content: 'Hi' },
          logprobs: { content: [{ token: 'Hi', logprob: -0.1, bytes: null, top_logprobs: [] }] },
          finish_reason: 'stop',
        },
      ],
      usage: { prompt_tokens: 1, completion_tokens: 1, total_tokens: 2 },
    },
  })
  open.push(upstream)
  const router = await routerWith([{ type: 'masking' }], { upstream: upstream.url })
  const answer = await post(`${router.url}/v1/chat/completions`, chat(address, { logprobs: true }))
  assert.equal(JSON.parse(answer.text).choices[0].logprobs, null)
  assert.match(answer.headers.get('x-llm-router-lost') ?? '', /logprobs/)
})

test('a response without log probabilities does not report any as removed', async () => {
  const router = await routerWith([{ type: 'masking' }])
  const answer = await post(`${router.url}/v1/responses`, { model: 'm', input: address })
  assert.deepEqual(JSON.parse(answer.text).output[0].content[0].logprobs, [])
  assert.equal(answer.headers.get('x-llm-router-lost'), null)
})

test('values are restored in responses of other operations', async () => {
  const upstream = await startUpstream(({ url, body }) => {
    const documents = isObject(body) && Array.isArray(body.documents) ? body.documents : []
    if (url.includes('rerank'))
      return {
        kind: 'reply',
        body: { results: documents.map((text, index) => ({ index, document: { text } })) },
      }
    const events = [...lastPiece(body)].map(
      (content) => `data: ${JSON.stringify({ content, stop: false })}\n\n`,
    )
    return { kind: 'stream', pieces: [...events, 'data: {"content":"","stop":true}\n\n'] }
  })
  open.push(upstream)
  const router = await startRouter({
    models: {
      processors: [{ type: 'masking' }],
      g: { m: { providers: [{ api_type: 'llamacpp', api_host: upstream.url }] } },
      active_models: { g: ['m'] },
    },
  })
  open.push(router)
  const ranked = await post(`${router.url}/v1/rerank`, {
    model: 'm',
    query: 'x',
    documents: [address, 'none'],
  })
  assert.equal(JSON.parse(ranked.text).results[0].document.text, address, ranked.text)
  const filled = await post(`${router.url}/infill`, {
    model: 'm',
    input_prefix: address,
    input_suffix: '',
    stream: true,
  })
  const text = eventsIn(filled.text).map(({ content }) => content)
  assert.equal(text.join(''), address, filled.text)
  for (const { raw } of upstream.requests) assert.equal(raw.includes(address), false)
})

function lastPiece(body: unknown): string {
  return isObject(body) && typeof body.input_prefix === 'string' ? body.input_prefix : ''
}

test('a stream that is cut off returns the text held back, then an error and no clean end', async () => {
  const begun = (text: string): string =>
    `data: ${JSON.stringify({ id: 'x', object: 'chat.completion.chunk', created: 1, model: 'up', choices: [{ index: 0, delta: { content: text }, finish_reason: null }] })}\n\n`
  const upstream = await startUpstream(() => ({ kind: 'stream', pieces: [begun('See E')], ending: 'cut' }))
  open.push(upstream)
  const router = await routerWith([{ type: 'masking' }], { upstream: upstream.url })
  const { text } = await post(`${router.url}/v1/chat/completions`, chat(address, { stream: true }))
  const events = eventsIn(text)
  const said = events.flatMap(({ choices }) =>
    Array.isArray(choices) ? choices.map(({ delta }) => delta.content) : [],
  )
  assert.equal(said.join(''), 'See E')
  assert.ok('error' in (events.at(-1) ?? {}))
  assert.doesNotMatch(text, /\[DONE\]/)
})

test('the end of a choice whose text is held back belongs to that choice, whatever events came before', async () => {
  const piece = (...choices: object[]): string => openaiEvent({ choices })
  const pieces = [
    piece({ index: 0, delta: { content: 'One.' } }, { index: 1, delta: { content: 'See' } }),
    piece({ index: 1, delta: { content: ' E' } }),
    piece({ index: 0, delta: {}, finish_reason: 'stop' }),
    piece({ index: 1, delta: {}, finish_reason: 'stop' }),
    openaiDone,
  ]
  const upstream = await startUpstream(() => ({ kind: 'stream', pieces }))
  open.push(upstream)
  const router = await routerWith([{ type: 'masking' }], { upstream: upstream.url })
  const { text } = await post(`${router.url}/v1/chat/completions`, chat(address, { stream: true, n: 2 }))
  const said = ['', '']
  for (const { choices } of eventsIn(text))
    for (const { index, delta } of Array.isArray(choices) ? choices : []) said[index] += delta.content ?? ''
  assert.deepEqual(said, ['One.', 'See E'])
})
