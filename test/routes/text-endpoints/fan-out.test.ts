import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { openRequest, post } from '../../helpers/http.ts'
import { modelsConfig } from '../../helpers/models-config.ts'
import { startRouter, type TestRouter } from '../../helpers/router.ts'
import {
  type Behaviour,
  openaiError,
  openaiText,
  type ScriptedUpstream,
  startUpstream,
} from '../../helpers/scripted-upstream.ts'
import { askedIn, byText, promptsDir, untimed } from './support.ts'

let left: ScriptedUpstream
let right: ScriptedUpstream
let router: TestRouter

before(async () => {
  left = await startUpstream(openaiText('unused'))
  right = await startUpstream(openaiText('unused'))
  router = await startRouter({
    env: { LLM_ROUTER_PROMPTS_DIR: promptsDir, LLM_ROUTER_FANOUT: '3' },
    models: modelsConfig({
      one: [{ id: 'one', api_type: 'vllm', api_host: left.url }],
      two: [
        { id: 'left', api_type: 'vllm', api_host: left.url },
        { id: 'right', api_type: 'vllm', api_host: right.url },
      ],
    }),
  })
})
after(async () => {
  await router.close()
  await left.close()
  await right.close()
})

function inFlight(alias: string): number {
  const model = router.app.models.find(alias)
  assert.ok(model)
  return router.app.balancer.signals(model).reduce((sum, signals) => sum + signals.inFlight, 0)
}

test('texts go to both targets in parallel, and the results are in order even if the first finishes last', async () => {
  const first = Promise.withResolvers<Behaviour>()
  const script = byText({ a: first.promise, b: openaiText('B'), c: openaiText('C'), d: openaiText('D') })
  left.rescript(script)
  right.rescript(script)
  const [leftSince, rightSince] = [left.requests.length, right.requests.length]
  const answer = post(`${router.url}/builtin/translate`, { model_name: 'two', texts: ['a', 'b', 'c', 'd'] })
  await Promise.all([left.requestReceived(leftSince + 1), right.requestReceived(rightSince + 1)])
  first.resolve(openaiText('A'))
  assert.deepEqual(untimed((await answer).text), {
    response: [
      { original: 'a', translated: 'A' },
      { original: 'b', translated: 'B' },
      { original: 'c', translated: 'C' },
      { original: 'd', translated: 'D' },
    ],
  })
  const asked = [...left.requests.slice(leftSince), ...right.requests.slice(rightSince)].map(askedIn)
  assert.deepEqual(asked.toSorted(), ['a', 'b', 'c', 'd'])
  assert.equal(left.requests.length - leftSince, 2)
})

test('no more requests run at the same time than LLM_ROUTER_FANOUT allows', async () => {
  const gates = Array.from({ length: 5 }, () => Promise.withResolvers<Behaviour>())
  const since = left.requests.length
  let open = 0
  let most = 0
  left.rescript(async (_request, index) => {
    most = Math.max(most, ++open)
    const behaviour = await gates[index - since]?.promise
    open--
    return behaviour ?? assert.fail('one request too many')
  })
  const answer = post(`${router.url}/api/simplify_text`, { model: 'one', texts: ['1', '2', '3', '4', '5'] })
  for (const [index, gate] of gates.entries()) {
    await left.requestReceived(Math.min(since + index + 2, since + 4))
    gate.resolve(openaiText(String(index)))
  }
  assert.equal((await answer).status, 200)
  assert.equal(most, 3)
})

test('an empty list of texts returns an empty list without any upstream request', async () => {
  const since = left.requests.length
  for (const endpoint of ['translate', 'simplify_text', 'generate_questions']) {
    const { text } = await post(`${router.url}/api/${endpoint}`, { model: 'one', texts: [] })
    assert.deepEqual(untimed(text), { response: [] })
  }
  assert.equal(left.requests.length, since)
})

test('the first failure fails the request with its status and index, ends the others and starts no more', async () => {
  const since = left.requests.length
  left.rescript(async (request, index) => {
    if (askedIn(request) !== 'bad') return { kind: 'hang' }
    // The others exist to be cancelled.
    await left.requestReceived(index === since ? since + 1 : since)
    await left.requestReceived(since + 2)
    return openaiError(422, { message: 'see http://10.0.0.1:8000/secret' })
  })
  const { status, text } = await post(`${router.url}/api/translate`, {
    model: 'one',
    texts: ['slow', 'bad', 'slower', 'never'],
  })
  assert.equal(status, 422)
  const { error, body } = JSON.parse(text)
  assert.match(error.message, /^texts\[1\]: /)
  assert.equal(error.param, 'texts[1]')
  assert.equal(body, error.message)
  assert.doesNotMatch(text, /10\.0\.0\.1|secret/)
  await Promise.all([left.requestClosed(since), left.requestClosed(since + 2)])
  assert.equal(left.requests.length - since, 3)
  assert.equal(inFlight('one'), 0)
})

test('a failed text is retried on the other target before it counts as failed', async () => {
  left.rescript(openaiError(500, { message: 'down' }))
  right.rescript(openaiText('ok'))
  const { status, text } = await post(`${router.url}/api/simplify_text`, { model: 'two', texts: ['a', 'b'] })
  assert.equal(status, 200, text)
  assert.deepEqual(untimed(text), { response: ['ok', 'ok'] })
})

test('with partial, failed texts are null and reported with their errors', async () => {
  left.rescript(
    byText({ a: openaiText('A'), b: openaiError(400, { message: 'too rude' }), c: openaiText('C') }),
  )
  const body = { model: 'one', texts: ['a', 'b', 'c'], partial: true }
  const { status, text } = await post(`${router.url}/api/simplify_text`, body)
  assert.equal(status, 200)
  const { errors, ...rest } = untimed(text)
  assert.deepEqual(rest, { response: ['A', null, 'C'] })
  assert.ok(Array.isArray(errors))
  assert.deepEqual(
    errors.map(({ index }) => index),
    [1],
  )
  assert.equal(typeof errors[0].message, 'string')
  const whole = await post(`${router.url}/api/simplify_text`, { ...body, texts: ['a'] })
  assert.deepEqual(untimed(whole.text), { response: ['A'], errors: [] })
})

test('a client that disconnects ends every upstream request', async () => {
  left.rescript({ kind: 'hang' })
  const since = left.requests.length
  const logged = router.requestLogged()
  const socket = await openRequest(router.url, '/api/simplify_text', {
    model: 'one',
    texts: ['a', 'b', 'c', 'd'],
    partial: true,
  })
  await left.requestReceived(since + 2)
  socket.destroy()
  await Promise.all([0, 1, 2].map((index) => left.requestClosed(since + index)))
  const line = await logged
  assert.deepEqual([line.outcome, line.status], ['client_gone', 499])
  assert.equal(inFlight('one'), 0)
  assert.equal(left.requests.length - since, 3)
})

test('what a target cannot carry is reported in the header and in the log, whichever request began last', async () => {
  left.rescript(openaiText('ok'))
  const logged = router.requestLogged()
  const { headers } = await post(`${router.url}/api/simplify_text`, {
    model: 'one',
    texts: ['a', 'b'],
    typical_p: 0.5,
  })
  assert.equal(headers.get('x-llm-router-lost'), 'typical_p')
  const line = await logged
  assert.deepEqual(line.dropped, ['typical_p'])
  assert.deepEqual([line.model, line.prompt_tokens, line.completion_tokens], ['one', 18, 6])
})
