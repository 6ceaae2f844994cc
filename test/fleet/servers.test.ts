import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { type TestContext, test } from 'node:test'
import { post } from '../helpers/http.ts'
import { keysFile } from '../helpers/keys-file.ts'
import { messages } from '../helpers/messages.ts'
import { scrape } from '../helpers/metrics.ts'
import { startRouter, type TestRouter, type TestRouterOptions } from '../helpers/router.ts'
import { openaiText, type ScriptedUpstream, startUpstream } from '../helpers/scripted-upstream.ts'

const path = '/v1/chat/completions'

function ask(model: string): object {
  return { model, messages }
}

async function upstream(t: TestContext): Promise<ScriptedUpstream> {
  const server = await startUpstream(openaiText('Hi'))
  t.after(() => server.close())
  return server
}

async function router(t: TestContext, options: TestRouterOptions): Promise<TestRouter> {
  const started = await startRouter(options)
  t.after(() => started.close())
  return started
}

async function json<T>(url: string, headers: Record<string, string> = {}): Promise<T> {
  return (await fetch(url, { headers })).json() as Promise<T> // of our own routes
}

interface OpenAIList {
  data: { id: string }[]
}

test('models refer to a server that is defined once, and follow a change of it', async (t) => {
  const [one, two] = [await upstream(t), await upstream(t)]
  const config = (url: string) => ({
    servers: [{ id: 'gpu-a', api_type: 'vllm', api_host: url, api_token: 'key-a' }],
    g: { a: { providers: [{ server: 'gpu-a' }] }, b: { providers: [{ server: 'gpu-a', model_path: 'B' }] } },
    active_models: { g: ['a', 'b'] },
  })
  const { url, file, app, logged } = await router(t, { models: config(one.url) })
  assert.equal((await post(url + path, ask('a'))).status, 200)
  assert.equal((await post(url + path, ask('b'))).status, 200)
  assert.deepEqual(
    one.requests.map(({ headers, body }) => [headers.authorization, Object(body).model]),
    [
      ['Bearer key-a', 'a'],
      ['Bearer key-a', 'B'],
    ],
  )
  writeFileSync(file, JSON.stringify(config(two.url)))
  await app.reload.now()
  await logged(({ msg }) => msg === 'models-config.json reloaded')
  assert.equal((await post(url + path, ask('a'))).status, 200)
  assert.equal(two.requests.length, 1)
})

const aliased = ({ url }: ScriptedUpstream) => ({
  g: { llama: { providers: [{ id: 'one', api_type: 'vllm', api_host: url }] } },
  aliases: { 'gpt-4o': 'llama' },
  active_models: { g: ['llama'] },
})

test("an alias answers under its own name, while metrics and log use the model's name", async (t) => {
  const server = await upstream(t)
  const { url, requestLogged } = await router(t, {
    models: aliased(server),
    env: { LLM_ROUTER_USE_PROMETHEUS: '1' },
  })
  const logged = requestLogged()
  const answer = await post(url + path, ask('gpt-4o'))
  assert.equal(JSON.parse(answer.text).model, 'gpt-4o')
  assert.equal(Object(server.requests[0]?.body).model, 'llama')
  assert.equal((await logged).model, 'llama')
  const metrics = await scrape(url)
  assert.equal(metrics.sum('llm_router_requests_total', { model_name: 'llama', outcome: 'success' }), 1)
  assert.equal(metrics.sum('llm_router_requests_total', { model_name: 'gpt-4o', outcome: 'success' }), 0)
  const generated = await post(`${url}/api/chat`, { ...ask('GPT-4o:latest'), stream: false })
  assert.equal(generated.status, 200)
})

test('errors name the alias that the client asked for, and never the model behind it', async (t) => {
  const error = (message: string) => ({ kind: 'reply', status: 400, body: { error: { message } } }) as const
  const server = await upstream(t)
  const { url } = await router(t, { models: aliased(server) })
  const asked = async (path: string, body: object) => {
    const answer = await post(url + path, body)
    assert.ok(answer.status >= 400, answer.text)
    assert.doesNotMatch(answer.text, /llama\b/, `${path}: ${answer.text}`)
    assert.match(answer.text, /gpt-4o/, path)
  }
  server.rescript(() => error('llama takes no images'))
  await asked(path, ask('gpt-4o'))
  await asked('/v1/messages', { ...ask('gpt-4o'), max_tokens: 9 })
  await asked('/v1/responses', { model: 'gpt-4o', input: 'hi' })
  await asked('/api/chat', { ...ask('gpt-4o'), stream: false })
  await asked('/v1beta/models/gpt-4o:generateContent', { contents: [{ parts: [{ text: 'hi' }] }] })
  await asked('/v1/embeddings', { model: 'gpt-4o', input: 'hi' })
  await asked('/v1/completions', { model: 'gpt-4o', prompt: 'hi' })
  server.rescript(() => ({ kind: 'reply', status: 404, body: { detail: 'Not Found' } }))
  await asked('/v1/rerank', { model: 'gpt-4o', query: 'a', documents: ['b'] })
  server.rescript(() => ({ kind: 'reply', status: 500, body: {} }))
  const own = await post(url + path, ask('llama'))
  assert.doesNotMatch(own.text, /gpt-4o/)
})

test('aliases are in the model lists of every dialect', async (t) => {
  const { url } = await router(t, { models: aliased(await upstream(t)) })
  const openai = await json<OpenAIList>(`${url}/v1/models`)
  assert.deepEqual(
    openai.data.map(({ id }) => id),
    ['llama', 'gpt-4o'],
  )
  assert.equal((await json<{ id: string }>(`${url}/v1/models/gpt-4o`)).id, 'gpt-4o')
  const ollama = await json<{ models: { name: string }[] }>(`${url}/api/tags`)
  assert.deepEqual(
    ollama.models.map(({ name }) => name),
    ['llama', 'gpt-4o'],
  )
  const shown = JSON.parse((await post(`${url}/api/show`, { model: 'gpt-4o' })).text)
  assert.equal(shown.model_info['general.name'], 'gpt-4o')
  const anthropic = await json<{ last_id: string }>(`${url}/v1/models`, { 'anthropic-version': '2023-06-01' })
  assert.equal(anthropic.last_id, 'gpt-4o')
  const gemini = await json<{ models: { name: string }[] }>(`${url}/v1beta/models`)
  assert.deepEqual(
    gemini.models.map(({ name }) => name),
    ['models/llama', 'models/gpt-4o'],
  )
})

test('a key that lists a model may use its aliases; one that lists an alias may use only that name', async (t) => {
  const keys = keysFile([
    { id: 'model', key: 'sk-model-0123456789abcdef', models: ['llama'] },
    { id: 'alias', key: 'sk-alias-0123456789abcdef', models: ['gpt-4o'] },
    { id: 'other', key: 'sk-other-0123456789abcdef', models: ['else'] },
  ])
  t.after(keys.remove)
  const { url } = await router(t, { models: aliased(await upstream(t)), env: keys.env })
  const statuses = async (id: string) => {
    const headers = { authorization: `Bearer sk-${id}-0123456789abcdef`, 'content-type': 'application/json' }
    const list = await json<OpenAIList>(`${url}/v1/models`, headers)
    const [real, alias] = [
      await post(url + path, ask('llama'), headers),
      await post(url + path, ask('gpt-4o'), headers),
    ]
    return [real.status, alias.status, list.data.map(({ id }) => id).join(' ')]
  }
  assert.deepEqual(await statuses('model'), [200, 200, 'llama gpt-4o'])
  assert.deepEqual(await statuses('alias'), [404, 200, 'gpt-4o'])
  assert.deepEqual(await statuses('other'), [404, 404, ''])
})
