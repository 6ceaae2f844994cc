import assert from 'node:assert/strict'
import { readFileSync, writeFileSync } from 'node:fs'
import { afterEach, test } from 'node:test'
import { post } from '../helpers/http.ts'
import { keysFile } from '../helpers/keys-file.ts'
import { askIn, clientDialects } from '../processors/dialect-players.ts'
import { type AutoRig, startAuto, vectorsFor } from './rig.ts'

const open: AutoRig[] = []
afterEach(async () => {
  for (const each of open.splice(0)) await each.close()
})

async function rigOf(...args: Parameters<typeof startAuto>): Promise<AutoRig> {
  const rig = await startAuto(...args)
  open.push(rig)
  return rig
}

const models = ['small', 'middle', 'large']
const said = (content: unknown) => ({ model: 'auto', messages: [{ role: 'user', content }] })
const image = { type: 'image_url', image_url: { url: 'data:image/png;base64,AAAA' } }
const tools = [{ type: 'function', function: { name: 'f', parameters: { type: 'object' } } }]

test('auto selects the model of the nearest example in each dialect, and the response names the model', async () => {
  const rig = await rigOf({
    models,
    embedding_model: 'e',
    examples: { large: ['code'], middle: ['poem', 'holiday'] },
  })
  for (const dialect of clientDialects)
    for (const stream of [false, true])
      for (const [text, expected] of [
        ['Fix this code please', 'large'],
        ['A poem about a holiday', 'middle'],
      ] as const) {
        const { raw, text: received } = await askIn(dialect, rig.router.url, text, { stream, model: 'auto' })
        assert.equal(received, 'Fine.')
        assert.equal(rig.asked.at(-1), expected, dialect)
        assert.equal(raw.headers.get('x-llm-router-model'), expected)
      }
})

test('a request unlike all examples, or one without embeddings, gets the first model', async () => {
  const auto = { models, embedding_model: 'e', examples: { large: ['code'] } }
  const rig = await rigOf(auto)
  const path = `${rig.router.url}/v1/chat/completions`
  await post(path, said('Good morning'))
  rig.embeddings.rescript({ kind: 'reply', status: 500, body: {} })
  await post(path, said('code'))
  assert.deepEqual(rig.asked, ['small', 'small'])
  const off = await rigOf(auto)
  await off.embeddings.close()
  assert.equal((await post(`${off.router.url}/v1/chat/completions`, said('code'))).status, 200)
  assert.deepEqual(off.asked, ['small'])
  const line = await off.router.logged(({ msg }) => String(msg).includes('examples were ignored'))
  assert.match(String(line.msg), /embedding model of auto_model failed .* check the model and its servers/)
  assert.equal(line.embedding_model, 'e')
})

test('rules are evaluated before examples, in order', async () => {
  const rig = await rigOf({
    models,
    embedding_model: 'e',
    examples: { middle: ['code'] },
    rules: [
      { model: 'large', modalities: ['image'] },
      { model: 'middle', tools: true },
      { model: 'large', min_prompt_tokens: 500 },
      { model: 'middle', languages: ['pl'] },
      { model: 'large', words: ['urgent case'] },
    ],
  })
  const path = `${rig.router.url}/v1/chat/completions`
  await post(path, said([{ type: 'text', text: 'code' }, image]))
  await post(path, { ...said('Hello'), tools })
  await post(path, said('word '.repeat(1_000)))
  await post(path, said('Proszę napisz mi, co to jest i jak się tego używa'))
  await post(path, said('An URGENT, case'))
  await post(path, said('Hello there'))
  assert.deepEqual(rig.asked, ['large', 'middle', 'large', 'middle', 'large', 'small'])
})

test('a model that cannot serve a request is not selected, and the others are its fallbacks', async () => {
  const rig = await rigOf(
    { models },
    {
      shell: { small: { capabilities: ['completion'] } },
      providers: { middle: { input_size: 100, tool_calling: false } },
    },
  )
  const path = `${rig.router.url}/v1/chat/completions`
  await post(path, said('Hi'))
  await post(path, said([{ type: 'text', text: 'What is this?' }, image]))
  await post(path, { ...said('Hi'), tools })
  await post(path, said([{ type: 'text', text: 'word '.repeat(1_000) }, image]))
  assert.deepEqual(rig.asked, ['small', 'middle', 'large', 'large'])
  const { rescript } = rig.models
  rescript((request) =>
    String(Object(request.body).model) === 'up-small'
      ? { kind: 'reply', status: 503, body: {} }
      : {
          kind: 'reply',
          body: {
            choices: [{ index: 0, message: { role: 'assistant', content: 'ok' }, finish_reason: 'stop' }],
          },
        },
  )
  const answer = await post(path, said('Hi again'))
  assert.deepEqual([answer.status, answer.headers.get('x-llm-router-model')], [200, 'middle'])
})

test('a conversation keeps its model, identified by its first turns or its session', async () => {
  const rig = await rigOf({ models, rules: [{ model: 'large', words: ['large'] }] })
  const path = `${rig.router.url}/v1/chat/completions`
  const begin = { role: 'user', content: 'large' }
  const continued = (content: string) => ({
    model: 'auto',
    messages: [begin, { role: 'assistant', content: 'Fine.' }, { role: 'user', content }],
  })
  await post(path, said('large'))
  await post(path, continued('and now something small'))
  const session = { 'content-type': 'application/json', 'x-llm-router-session': 's1' }
  await post(path, said('large'), session)
  await post(path, said('again'), session)
  await post(path, said('again'))
  assert.deepEqual(rig.asked, ['large', 'large', 'large', 'large', 'small'])
  const first = await post(`${rig.router.url}/v1/responses`, { model: 'auto', input: 'large' })
  const { id } = JSON.parse(first.text)
  await post(`${rig.router.url}/v1/responses`, { model: 'auto', input: 'more', previous_response_id: id })
  assert.deepEqual(rig.asked.slice(-2), ['large', 'large'])
})

test('only models that the key may use are selected, and the selection appears in log and metrics', async () => {
  const keys = keysFile([
    { id: 'narrow', key: 'sk-narrow-0123456789', models: ['middle', 'large'] },
    { id: 'none', key: 'sk-none-0123456789abc', models: ['e'] },
    { id: 'all', key: 'sk-all-0123456789abcd' },
  ])
  const rig = await rigOf(
    { models, rules: [{ model: 'small', words: ['hi'] }] },
    {
      env: {
        ...keys.env,
        LLM_ROUTER_USE_PROMETHEUS: '1',
        LLM_ROUTER_ADMIN_KEY: 'sk-admin-0123456789abcdef',
      },
    },
  )
  const path = `${rig.router.url}/v1/chat/completions`
  const as = (key: string) => ({ 'content-type': 'application/json', authorization: `Bearer ${key}` })
  const logged = rig.router.requestLogged()
  const answer = await post(path, said('hi'), as('sk-narrow-0123456789'))
  assert.equal(answer.status, 200, answer.text)
  const { model, auto } = await logged
  assert.deepEqual([model, auto], ['middle', 'order'])
  assert.equal((await post(path, said('hi'), as('sk-none-0123456789abc'))).status, 404)
  await post(path, said('hi'), as('sk-all-0123456789abcd'))
  assert.deepEqual(rig.asked, ['middle', 'small'])
  const names = async (key: string): Promise<string[]> => {
    const list = await fetch(`${rig.router.url}/v1/models`, { headers: as(key) })
    const { data }: { data: { id: string }[] } = JSON.parse(await list.text())
    return data.map(({ id }) => id)
  }
  assert.deepEqual(await names('sk-narrow-0123456789'), ['middle', 'large', 'auto'])
  assert.deepEqual(await names('sk-none-0123456789abc'), ['e'])
  const metrics = await fetch(`${rig.router.url}/metrics`, { headers: as('sk-admin-0123456789abcdef') })
  const text = await metrics.text()
  assert.match(text, /llm_router_auto_choices_total\{model_name="small",by="rule"\} 1/)
  keys.remove()
})

test('a configured model named auto is used like any other model', async () => {
  const rig = await rigOf({ models: ['large'] }, { root: {} })
  await rig.router.close()
  const again = await rigOf({ models: ['large'] }, { root: { aliases: { auto: 'middle' } } })
  await post(`${again.router.url}/v1/chat/completions`, said('hi'))
  assert.deepEqual(again.asked, ['middle'])
})

test('text endpoints and completions support auto', async () => {
  const rig = await rigOf({ models, rules: [{ model: 'large', words: ['big words'] }] })
  const { url } = rig.router
  await post(`${url}/api/conversation_with_model`, { model_name: 'auto', user_last_statement: 'big words' })
  await post(`${url}/api/generate`, { model: 'auto', prompt: 'big words', stream: false })
  await post(`${url}/v1/completions`, { model: 'auto', prompt: 'big words' })
  assert.deepEqual(rig.asked, ['large', 'large', 'large'])
})

test('P/route explains the selection', async () => {
  const rig = await rigOf(
    { models, embedding_model: 'e', examples: { large: ['code'] } },
    {
      env: { LLM_ROUTER_ADMIN_KEY: 'sk-admin-0123456789abcdef' },
      shell: { small: { capabilities: ['completion'] } },
    },
  )
  const headers = { 'content-type': 'application/json', authorization: 'Bearer sk-admin-0123456789abcdef' }
  const answer = await post(
    `${rig.router.url}/api/route`,
    said([{ type: 'text', text: 'code' }, image]),
    headers,
  )
  const { model, auto } = JSON.parse(answer.text)
  assert.equal(model, 'large')
  assert.equal(auto.by, 'example')
  assert.match(auto.detail, /^examples\.large\[0\], similarity 1\.000$/)
  assert.deepEqual(auto.candidates, [
    { model: 'small', excluded: 'no capability "vision"' },
    { model: 'middle' },
    { model: 'large' },
  ])
  assert.deepEqual(rig.asked, [])
})

test('configuration errors of auto_model name their path', async () => {
  await assert.rejects(
    rigOf({
      models: ['smal', 'large'],
      rules: [{ model: 'middle' }, { model: 'large', languages: ['polish'] }],
      examples: { large: ['a'] },
    }),
    ({ errors }: { errors: string[] }) => {
      assert.match(errors.join('\n'), /auto_model\.rules\[1\]\.languages/)
      return true
    },
  )
  await assert.rejects(
    rigOf({ models: ['smal', 'large'], rules: [{ model: 'middle' }], examples: { large: ['a'] } }),
    ({ errors }: { errors: string[] }) => {
      assert.match(errors.join('\n'), /auto_model\.models\[0\]: no active model "smal"; did you mean "small"/)
      assert.match(errors.join('\n'), /auto_model\.rules\[0\]\.model: "middle" is not in auto_model\.models/)
      assert.match(errors.join('\n'), /auto_model\.embedding_model: missing/)
      return true
    },
  )
})

test('a changed auto_model takes effect without a restart', async () => {
  const rig = await rigOf({ models: ['small', 'large'] })
  const path = `${rig.router.url}/v1/chat/completions`
  await post(path, said('hi'))
  const config = JSON.parse(readFileSync(rig.router.file, 'utf8'))
  const reloaded = rig.router.logged(({ msg }) => msg === 'models-config.json reloaded')
  writeFileSync(rig.router.file, JSON.stringify({ ...config, auto_model: { models: ['large', 'small'] } }))
  await reloaded
  await post(path, said('hi'))
  assert.deepEqual(rig.asked, ['small', 'large'])
})

test('while the embedding model hangs, only one request at a time waits for it', async () => {
  const rig = await rigOf({ models, embedding_model: 'e', examples: { large: ['code'] } })
  const { embeddings, router } = rig
  const ask = () => post(`${router.url}/v1/chat/completions`, said('code'))
  await ask()
  const { length: before } = embeddings.requests
  embeddings.rescript({ kind: 'hang' })
  await Promise.all([ask(), ask(), ask()])
  let isOver = false
  const trial = ask().finally(() => {
    isOver = true
  })
  await embeddings.requestReceived(before + 3)
  await ask()
  assert.equal(isOver, false)

  embeddings.rescript((request) => ({ kind: 'reply', body: vectorsFor(request) }))
  await trial
  await ask()
  assert.deepEqual(rig.asked, ['large', ...Array.from({ length: 5 }, () => 'small'), 'large'])
})
