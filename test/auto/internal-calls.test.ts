import assert from 'node:assert/strict'
import { afterEach, test } from 'node:test'
import { post } from '../helpers/http.ts'
import { bearer, keysFile } from '../helpers/keys-file.ts'
import { startUpstream } from '../helpers/scripted-upstream.ts'
import { tempFolder, writeIndex } from '../retrieval/rig.ts'
import { type AutoRig, startAuto } from './rig.ts'

const open: { close(): Promise<void> }[] = []
afterEach(async () => {
  for (const each of open.splice(0).toReversed()) await each.close()
})

async function rigOf(...args: Parameters<typeof startAuto>): Promise<AutoRig> {
  const rig = await startAuto(...args)
  open.push(rig)
  return rig
}

const auto = { models: ['small', 'large'], embedding_model: 'e', examples: { large: ['code'] } }
const said = (content: string) => ({ model: 'auto', messages: [{ role: 'user', content }] })

test("the router's own requests appear in metrics as the client internal, and not as HTTP requests", async () => {
  const keys = keysFile([{ id: 'team', key: 'sk-team-0123456789abc', models: ['small', 'large'] }])
  const admin = 'sk-admin-0123456789abcdef'
  const rig = await rigOf(auto, {
    env: { ...keys.env, LLM_ROUTER_USE_PROMETHEUS: '1', LLM_ROUTER_ADMIN_KEY: admin },
  })
  const headers = { 'content-type': 'application/json', ...bearer('sk-team-0123456789abc') }
  const answer = await post(`${rig.router.url}/v1/chat/completions`, said('code'), headers)
  assert.equal(answer.headers.get('x-llm-router-model'), 'large')
  const metrics = await fetch(`${rig.router.url}/metrics`, { headers: bearer(admin) })
  const text = await metrics.text()
  assert.match(text, /llm_router_client_requests_total\{client="internal",outcome="success"\} 2/)
  assert.match(text, /llm_router_client_requests_total\{client="team",outcome="success"\} 1/)
  assert.match(text, /llm_router_requests_total\{model_name="e",outcome="success"\} 2/)
  assert.match(text, /llm_router_client_tokens_total\{client="internal",direction="input"\} 6/)
  assert.doesNotMatch(text, /http_requests_total\{[^}]*endpoint="internal"/)
  const calls = rig.router.logs.filter(({ msg }) => msg === 'internal call')
  const request = await rig.router.requestLogged(String(calls[0]?.request_id))
  assert.deepEqual([calls.length, request.model], [2, 'large'])
  keys.remove()
})

test("the usage of the router's own requests counts for the client, or for internal if configured", async () => {
  const database = tempFolder()
  const keys = keysFile([{ id: 'team', key: 'sk-team-0123456789abc' }])
  for (const [book, expected] of [
    ['true', ['internal', 'team']],
    ['false', ['internal']],
  ] as const) {
    const rig = await rigOf(auto, {
      env: {
        ...keys.env,
        LLM_ROUTER_DATABASE_URL: `sqlite:${database.path}/${book}.db`,
        LLM_ROUTER_BOOK_INTERNAL_CALLS: book,
        LLM_ROUTER_ADMIN_KEY: 'sk-admin-0123456789abcdef',
      },
    })
    const asked = new Set<string>()
    rig.router.app.usage.onBooked(({ model, client }) => {
      if (model === 'e') asked.add(client)
    })
    const headers = { 'content-type': 'application/json', ...bearer('sk-team-0123456789abc') }
    assert.equal((await post(`${rig.router.url}/v1/chat/completions`, said('code'), headers)).status, 200)
    assert.deepEqual([...asked].toSorted(), expected)
  }
  keys.remove()
  database.remove()
})

test("the router's own request is aborted with the client request and at its deadline", async () => {
  const rig = await rigOf(auto)
  const path = `${rig.router.url}/v1/chat/completions`
  // The vectors of the examples exist; the vector of the next request never arrives.
  await post(path, said('code'))
  rig.embeddings.rescript({ kind: 'hang' })
  const before = rig.embeddings.requests.length
  const stop = new AbortController()
  const asking = fetch(path, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(said('code again')),
    signal: stop.signal,
  })
  await rig.embeddings.requestReceived(before)
  stop.abort()
  await assert.rejects(asking)
  await rig.embeddings.requestClosed(before)
  const line = await rig.router.logged(({ msg, status }) => msg === 'request' && status === 499)
  assert.equal(line.outcome, 'client_gone')
  assert.equal(rig.models.requests.length, 1)
  const hurried = { 'content-type': 'application/json', 'x-llm-router-deadline-ms': '300' }
  const since = performance.now()
  const answer = await post(path, said('code in a hurry'), hurried)
  await rig.embeddings.requestClosed(before + 1)
  assert.ok(answer.status >= 429, answer.text)
  assert.ok(performance.now() - since < 4_000)
})

test('embedding models get masked text where masking applies, and an HTTP search gets the original question', async () => {
  const indexes = tempFolder()
  writeIndex(indexes.path, 'docs', ['A poem.'])
  const search = await startUpstream({ kind: 'reply', body: { results: [] } })
  open.push(search)
  const own = { type: 'retrieval', name: 'own', clients: ['*'], service: { type: 'http', url: search.url } }
  const processors = [
    { type: 'masking' },
    { type: 'retrieval', index: 'docs', embedding_model: 'e', clients: ['*'] },
    own,
  ]
  const rig = await rigOf(
    { ...auto, examples: { large: ['poem'] } },
    { root: { processors }, env: { LLM_ROUTER_INDEX_DIR: indexes.path } },
  )
  const messages = [{ role: 'user', content: 'A poem for anna@example.com' }]
  for (const model of ['small', 'auto'])
    assert.equal((await post(`${rig.router.url}/v1/chat/completions`, { messages, model })).status, 200)
  assert.equal(rig.asked.at(-1), 'large')
  const sent = rig.embeddings.requests.map(({ raw }) => raw.toString()).join('\n')
  assert.match(sent, /A poem for EMAIL_/)
  assert.doesNotMatch(sent, /@/)
  assert.deepEqual(search.requests[0]?.body, { query: 'A poem for anna@example.com', limit: 5 })
  const asked = { messages, model: 'small', anonymize: true }
  const plain = await rigOf(undefined, {
    root: { processors: processors.slice(1, 2) },
    env: { LLM_ROUTER_INDEX_DIR: indexes.path },
  })
  await post(`${plain.router.url}/v1/chat/completions`, asked)
  assert.doesNotMatch(plain.embeddings.requests.at(-1)?.raw.toString() ?? '', /@/)
  await post(`${plain.router.url}/v1/chat/completions`, { messages, model: 'small' })
  assert.match(plain.embeddings.requests.at(-1)?.raw.toString() ?? '', /anna@example\.com/)
  indexes.remove()
})
