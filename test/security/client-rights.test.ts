import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import Anthropic from '@anthropic-ai/sdk'
import { Ollama } from 'ollama'
import OpenAI from 'openai'
import { post } from '../helpers/http.ts'
import { messages } from '../helpers/messages.ts'
import { openaiError } from '../helpers/scripted-upstream.ts'
import { bearer, chat, KeyedRouter, keys, path } from './keyed-router.ts'

let keyed: KeyedRouter

before(async () => {
  keyed = await KeyedRouter.open()
})
after(() => keyed.close())

test('S9 no spelling of a name gives access to a model without a right to it', async () => {
  const names = [
    'Large',
    'large',
    'LARGE',
    'Large ',
    'Large\u0000',
    'L\u0430rge',
    '\uff2carge',
    'small/../Large',
  ]
  names.push('gpt-5', 'GPT-5', 'gpt-5:latest', 'Large:latest', 'GPT-5:LATEST', 'gpt-\u{1d7dd}', '*', 'gpt-*')
  const from = keyed.sent.length
  for (const name of names) {
    for (const at of [
      path,
      '/v1/completions',
      '/v1/responses',
      '/v1/messages',
      '/api/chat',
      '/api/generate',
    ]) {
      const body =
        at === '/v1/responses' ? { model: name, input: 'x' } : { ...chat(name), prompt: 'x', max_tokens: 5 }
      assert.equal(await keyed.statusFor(keys.few, body, at), 404, `${at} ${name}`)
    }
    for (const at of ['/v1/embeddings', '/api/embed', '/rerank', '/tokenize', '/api/show', '/api/translate'])
      assert.equal(
        await keyed.statusFor(keys.few, { model: name, input: 'x', texts: ['x'] }, at),
        404,
        `${at} ${name}`,
      )
    assert.equal(
      await keyed.statusFor(keys.few, { ...chat(name), model: undefined, model_name: name }),
      404,
      name,
    )
  }
  assert.equal(keyed.sent.length, from)
  assert.equal(await keyed.statusFor(keys.few, chat('GPT-4'), '/api/chat'), 200)
})

test('S9 a fallback model is used only for keys with a right to it', async (t) => {
  const { answer } = keyed
  t.after(() => {
    keyed.answer = answer
  })
  keyed.answer = (request) =>
    JSON.stringify(request.body).includes('"small"') ? openaiError(503, { message: 'no' }) : answer(request)
  const askedFor = async (key: string): Promise<unknown[]> => {
    const from = keyed.sent.length
    assert.equal(await keyed.statusFor(key, chat('small')), 200)
    return keyed.sent.slice(from).map(({ body }) => Object(body).model)
  }
  assert.equal((await askedFor(keys.few)).at(-1), 'gpt-4')
  assert.equal((await askedFor(keys.all)).at(-1), 'large')
})

test('S9 a key sees only its own models in every list, and finds no other by its name', async () => {
  const few = bearer(keys.few)
  const lists = ['/v1/models', '/api/tags', '/api/ps', '/api/v0/models', '/models']
  for (const at of lists) {
    const { text } = await keyed.get(at, few)
    assert.match(text, /"small"/, at)
    assert.match(text, /"gpt-4/, at)
    assert.doesNotMatch(text, /Large|GPT-5/, at)
    assert.match((await keyed.get(at, bearer(keys.all))).text, /Large/, at)
  }
  assert.equal((await keyed.get('/v1/models/Large', few)).status, 404)
  assert.equal((await keyed.get('/v1/models/small', few)).status, 200)
  assert.equal(
    (await keyed.get('/v1/models', { ...few, 'anthropic-version': '2023-06-01' })).text.includes('Large'),
    false,
  )
})

test('S9 a key is restricted to its surfaces, and operator pages are for keys that name them', async () => {
  assert.equal(await keyed.statusFor(keys.ollama, chat('small'), '/api/chat'), 200)
  for (const at of [path, '/v1/messages', '/v1/responses', '/api/translate'])
    assert.equal(
      await keyed.statusFor(keys.ollama, { ...chat('small'), max_tokens: 5, texts: [] }, at),
      403,
      at,
    )
  for (const at of ['/metrics', '/api/status', '/ui']) {
    assert.equal((await keyed.get(at, bearer(keys.all))).status, 403, at)
    assert.equal((await keyed.get(at, bearer(keys.operator))).status, 200, at)
  }
  assert.equal(await keyed.statusFor(keys.operator, chat('small')), 403)
})

test('S9 a stored response is available only to the key that created it', async () => {
  const create = (key: string, more: object) =>
    post(
      `${keyed.router.url}/v1/responses`,
      { model: 'gpt-4', input: 'x', ...more },
      { ...keyed.fromNewAddress(), ...bearer(key) },
    )
  const { id } = JSON.parse((await create(keys.all, {})).text)
  assert.equal((await keyed.get(`/v1/responses/${id}`, bearer(keys.few))).status, 404)
  assert.equal((await create(keys.few, { previous_response_id: id })).status, 400)
  assert.equal(
    (await fetch(`${keyed.router.url}/v1/responses/${id}`, { method: 'DELETE', headers: bearer(keys.few) }))
      .status,
    404,
  )
  assert.equal((await create(keys.all, { previous_response_id: id })).status, 200)
})

test('S9 official clients recognise an invalid key, a missing permission and an inaccessible model', async () => {
  const headers = keyed.fromNewAddress()
  const openai = (apiKey: string) =>
    new OpenAI({ baseURL: `${keyed.router.url}/v1`, apiKey, maxRetries: 0, defaultHeaders: headers })
  const ask = { model: 'small', messages }
  await assert.rejects(openai('wrong').chat.completions.create(ask), OpenAI.AuthenticationError)
  await assert.rejects(openai(keys.ollama).chat.completions.create(ask), OpenAI.PermissionDeniedError)
  await assert.rejects(
    openai(keys.few).chat.completions.create({ ...ask, model: 'Large' }),
    OpenAI.NotFoundError,
  )
  await assert.rejects(openai('wrong').models.list(), OpenAI.AuthenticationError)

  const anthropic = (apiKey: string) =>
    new Anthropic({ baseURL: keyed.router.url, apiKey, maxRetries: 0, defaultHeaders: headers })
  const message = { ...ask, max_tokens: 5 }
  const isAuth = (error: unknown) =>
    error instanceof Anthropic.AuthenticationError && error.type === 'authentication_error'
  await assert.rejects(anthropic('wrong').messages.create(message), isAuth)
  await assert.rejects(anthropic('wrong').models.list(), isAuth)
  await assert.rejects(anthropic(keys.ollama).messages.create(message), Anthropic.PermissionDeniedError)
  assert.equal((await anthropic(keys.all).messages.create(message)).type, 'message')

  const ollama = (key: string) =>
    new Ollama({ host: keyed.router.url, headers: { ...headers, ...bearer(key) } })
  await assert.rejects(ollama('wrong').chat(ask), { status_code: 401, error: 'This API key is not valid' })
  assert.equal((await ollama(keys.ollama).chat(ask)).message.content, 'Hi')
})
