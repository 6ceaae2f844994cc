import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { linesIn } from '../helpers/events-in.ts'
import { bearer, type KeysFile, keysFile } from '../helpers/keys-file.ts'
import { messages } from '../helpers/messages.ts'
import { modelsConfig } from '../helpers/models-config.ts'
import { startRouter, type TestRouter } from '../helpers/router.ts'
import { openaiStream, type ScriptedUpstream, startUpstream } from '../helpers/scripted-upstream.ts'

/*
 * The requests that Open WebUI 0.12 sends over a connection of each kind (routers/openai.py and routers/ollama.py of its
 * package). Open WebUI itself is not run.
 */
describe('Open WebUI', () => {
  const key = 'sk-0123456789abcdefghij'
  let upstream: ScriptedUpstream
  let keys: KeysFile
  let router: TestRouter

  before(async () => {
    upstream = await startUpstream(openaiStream(['Hi', ' there'], { usage: true }))
    keys = keysFile([{ id: 'webui', key }])
    router = await startRouter({
      env: keys.env,
      models: modelsConfig({ demo: [{ api_type: 'vllm', api_host: upstream.url }] }),
    })
  })
  after(async () => {
    await router.close()
    await upstream.close()
    keys.remove()
  })

  const headers = {
    'content-type': 'application/json',
    ...bearer(key),
    'X-OpenWebUI-User-Name': 'Jos%C3%A9',
    'X-OpenWebUI-User-Id': 'u-1',
    'X-OpenWebUI-User-Email': 'jose@example.org',
    'X-OpenWebUI-User-Role': 'user',
    'X-OpenWebUI-Chat-Id': 'c-1',
  }
  const get = async (path: string) => {
    const response = await fetch(router.url + path, { headers })
    assert.equal(response.status, 200, path)
    return Object(await response.json())
  }
  const send = async (path: string, body: object) => {
    const response = await fetch(router.url + path, { method: 'POST', headers, body: JSON.stringify(body) })
    const text = await response.text()
    assert.equal(response.status, 200, text)
    return text
  }

  test('lists the models and streams a chat over an OpenAI connection', async () => {
    assert.equal((await get('/v1/models')).data[0].id, 'demo')
    const text = await send('/v1/chat/completions', {
      model: 'demo',
      messages,
      stream: true,
      stream_options: { include_usage: true },
      params: {},
      features: { web_search: false },
    })
    assert.match(text, /"content":"Hi"/)
    assert.match(text, /"total_tokens":/)
    assert.match(text, /data: \[DONE\]\n\n$/)
  })

  test('reads the version, the models and the loaded models and streams a chat over an Ollama connection', async () => {
    assert.match((await get('/api/version')).version, /^\d+\.\d+/)
    assert.equal((await get('/api/tags')).models[0].name, 'demo')
    assert.ok(Array.isArray((await get('/api/ps')).models))
    const lines = linesIn(
      await send('/api/chat', { model: 'demo', messages, stream: true, options: {}, keep_alive: '5m' }),
    )
    assert.equal(lines.map(({ message }) => message.content).join(''), 'Hi there')
    assert.equal(lines.at(-1).done, true)
  })
})
