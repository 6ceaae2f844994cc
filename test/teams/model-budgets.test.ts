import assert from 'node:assert/strict'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { eventually } from '../helpers/eventually.ts'
import { bearer } from '../helpers/keys-file.ts'
import { openaiText, startUpstream } from '../helpers/scripted-upstream.ts'
import { shareTeam, sqliteUrl } from './team-router.ts'

const extension = join(import.meta.dirname, '../fixtures/extensions/asking.ts')

const upstream = await startUpstream(({ url, body }) => {
  if (Object(body).model === 'main-upstream') return { kind: 'reply', status: 500, body: {} }
  if (url.includes('embeddings'))
    return { kind: 'reply', body: { data: [{ index: 0, embedding: [1] }], usage: { prompt_tokens: 1 } } }
  return url.includes('transcriptions') ? { kind: 'reply', body: { text: 'Hi' } } : openaiText('Hi')
})
after(() => upstream.close())

/** Models at a server that answers every request; `main` falls back to `spare`. */
function config() {
  const model = (id: string, more: object = {}) => ({
    providers: [{ id, model_path: `${id}-upstream`, api_type: 'vllm', api_host: upstream.url }],
    ...more,
  })
  const all = {
    whisper: model('whisper'),
    main: model('main', { fallbacks: ['spare'] }),
    spare: model('spare'),
    vectors: model('vectors'),
  }
  return { active_models: { all: Object.keys(all) }, all }
}

const env = () => ({ LLM_ROUTER_EXTENSIONS: extension, LLM_ROUTER_HEALTH_INTERVAL: '0' })
const team = shareTeam(sqliteUrl, env, config)

async function budget(client: string, model: string): Promise<void> {
  const record = { client, unit: 'requests', window: 'day', model, limit: 1 }
  const id = `${client}-${model}`
  assert.equal((await team.admin('POST', '/budgets', { ...record, id })).status, 201)
}

async function upload(key: string) {
  const form = new FormData()
  form.set('model', 'whisper')
  form.set('file', new Blob([new Uint8Array(100)]), 'speech.wav')
  const answer = await fetch(`${team.router.url}/v1/audio/transcriptions`, {
    method: 'POST',
    headers: bearer(key),
    body: form,
  })
  return { status: answer.status, text: await answer.text() }
}

test("an upload is rejected before it is sent upstream if its model's budget is exhausted", async () => {
  const key = await team.newKey('alice')
  await budget('alice', 'whisper')
  assert.equal((await upload(key)).status, 200)
  const sent = upstream.requests.length
  const { status, text } = await upload(key)
  assert.equal(status, 429)
  assert.match(text, /The budget 'alice-whisper' of 1 requests for the model 'whisper' is used up/)
  assert.equal(upstream.requests.length, sent)
  assert.equal((await team.chat(key, 'spare')).status, 200)
})

test('a request of an extension is rejected if the budget of its model is exhausted', async () => {
  const key = await team.newKey('bob')
  await budget('bob', 'spare')
  const ask = async () => {
    const answer = await fetch(`${team.router.url}/ask/by-get?model=spare`, { headers: bearer(key) })
    return { status: answer.status, text: await answer.text() }
  }
  assert.equal((await ask()).status, 200)
  const refused = await ask()
  assert.equal(refused.status, 429)
  assert.match(refused.text, /insufficient_quota/)
})

test('a model whose budget is exhausted is not used as a fallback', async () => {
  const key = await team.newKey('carol')
  await budget('carol', 'spare')
  assert.equal((await team.chat(key, 'main')).status, 200)
  await eventually(async () => (await team.chat(key, 'spare')).status === 429)
  const spares = () => upstream.requests.filter(({ body }) => Object(body).model === 'spare-upstream').length
  const before = spares()
  assert.ok((await team.chat(key, 'main')).status >= 500)
  assert.equal(spares(), before)
})

test("a model's budget applies to embeddings of a Gemini client, whose body repeats the model as `models/...`", async () => {
  const key = await team.newKey('dave')
  await budget('dave', 'vectors')
  const embed = () =>
    fetch(`${team.router.url}/v1beta/models/vectors:embedContent`, {
      method: 'POST',
      headers: { ...bearer(key), 'content-type': 'application/json' },
      body: JSON.stringify({ model: 'models/vectors', content: { parts: [{ text: 'cats' }] } }),
    })
  assert.equal((await embed()).status, 200)
  const refused = await embed()
  assert.equal(refused.status, 429)
  assert.match(await refused.text(), /The budget 'dave-vectors' of 1 requests/)
})
