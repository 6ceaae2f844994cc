import assert from 'node:assert/strict'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { bearer } from '../helpers/keys-file.ts'
import { openaiText, startUpstream } from '../helpers/scripted-upstream.ts'
import { eventually, shareTeam, sqliteUrl } from './team-router.ts'

const extension = join(import.meta.dirname, '../fixtures/extensions/asking.ts')

const upstream = await startUpstream(({ url, body }) => {
  if (Object(body).model === 'main-upstream') return { kind: 'reply', status: 500, body: {} }
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
