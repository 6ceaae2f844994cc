import assert from 'node:assert/strict'
import { Agent, request } from 'node:http'
import { type TestContext, test } from 'node:test'
import { isObject } from '../../src/lib/json/read.ts'
import { startEmbeddings } from '../auto/rig.ts'
import { type RouterProcess, startRouterProcess } from '../helpers/router-process.ts'
import { lastText, startEcho } from '../processors/echo-upstream.ts'
import { type Folder, tempFolder, writeIndex } from './rig.ts'

type Ask = (content: string) => Promise<string>

/** All requests use one connection, so they go to one worker. */
function connectTo({ url }: RouterProcess): (path: string, body?: object) => Promise<string> {
  const { hostname: host, port } = new URL(url)
  const agent = new Agent({ keepAlive: true, maxSockets: 1 })
  return (path, body) =>
    new Promise((resolve, reject) => {
      const headers = { 'content-type': 'application/json' }
      const options = { host, port, path, agent, headers, method: body ? 'POST' : 'GET' }
      const sent = request(options, async (response) => {
        let text = ''
        for await (const chunk of response) text += chunk
        resolve(text)
      })
      sent.once('error', reject)
      sent.end(body && JSON.stringify(body))
    })
}

/** A chat at each of two workers. */
async function twoWorkers(t: TestContext, folder: Folder) {
  folder.write('pid.ts', `export default async (app) => { app.get('/pid', () => ({ pid: process.pid })) }\n`)
  const models = await startEcho({ say: () => ({ text: 'Fine.' }) })
  t.after(() => models.close())
  const embeddings = await startEmbeddings()
  t.after(() => embeddings.close())
  const model = (name: string, api_host: string) => ({
    providers: [{ api_type: 'vllm', api_host, model_path: `up-${name}` }],
  })
  const retrieval = { type: 'retrieval', index: 'docs', embedding_model: 'e', clients: ['*'], limit: 1 }
  const router = await startRouterProcess({
    models: {
      auto_model: {
        models: ['small', 'large'],
        embedding_model: 'e',
        examples: { large: ['Some code'], small: ['A poem'] },
      },
      processors: [retrieval],
      g: {
        small: model('small', models.url),
        large: model('large', models.url),
        e: model('e', embeddings.url),
      },
      active_models: { g: ['small', 'large', 'e'] },
    },
    env: {
      LLM_ROUTER_EXTENSIONS: `${folder.path}/pid.ts`,
      LLM_ROUTER_INDEX_DIR: folder.path,
      LLM_ROUTER_SERVER_TYPE: 'cluster',
      LLM_ROUTER_SERVER_WORKERS_COUNT: '2',
    },
  })
  t.after(() => router.stop())
  await router.listening(2)
  const found = new Map<number, Ask>()
  const signal = AbortSignal.timeout(10_000)
  while (found.size < 2) {
    signal.throwIfAborted()
    const send = connectTo(router)
    const { pid }: { pid: number } = JSON.parse(await send('/pid'))
    const ask: Ask = (content) =>
      send('/v1/chat/completions', { model: 'auto', messages: [{ role: 'user', content }] })
    if (!found.has(pid)) found.set(pid, ask)
  }
  return { asks: [...found.values()], models, router }
}

test('each worker of a cluster routes auto, finds passages and uses a new index without a restart', async (t) => {
  const folder = tempFolder()
  t.after(() => folder.remove())
  writeIndex(folder.path, 'docs', ['A holiday takes 20 days.', 'A poem rhymes.'])
  const { asks, models, router } = await twoWorkers(t, folder)
  const sent = () => {
    const { body } = models.requests.at(-1) ?? assert.fail('no chat request reached the upstream')
    return { model: isObject(body) ? body.model : undefined, text: lastText(body) }
  }
  for (const ask of asks) {
    assert.match(await ask('Which code has a holiday?'), /"sources":\[\{"number":1,"retrieval":"retrieval"/)
    assert.equal(sent().model, 'up-large')
    assert.match(sent().text, /A holiday takes 20 days\./)
    await ask('Write a poem')
    assert.equal(sent().model, 'up-small')
    assert.match(sent().text, /A poem rhymes\./)
  }
  writeIndex(folder.path, 'docs', ['A holiday takes 26 days.'])
  for (const ask of asks) {
    await ask('How long is a holiday?')
    assert.match(sent().text, /A holiday takes 26 days\./)
  }
  // An index made with another embedding model is not used.
  writeIndex(folder.path, 'docs', ['A holiday takes 0 days.'], 'other')
  for (const ask of asks) {
    await ask('How long is a holiday?')
    assert.match(sent().text, /A holiday takes 26 days\./)
  }
  await router.logged(({ msg }) => /updated index rejected/.test(String(msg)))
})
