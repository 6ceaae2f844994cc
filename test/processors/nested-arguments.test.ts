import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { post } from '../helpers/http.ts'
import { startRouter, type TestRouter } from '../helpers/router.ts'
import type { ScriptedUpstream } from '../helpers/scripted-upstream.ts'
import { askIn, clientDialects } from './dialect-players.ts'
import { startEcho, upstreamKinds } from './echo-upstream.ts'

/** It needs escapes at each level of JSON. */
const name = 'Jan "Janek" Kowalski'

/** Beyond 2^53: JSON.parse rounds its last digit to 2. */
const digits = '9007199254740993'

let echo: ScriptedUpstream
let router: TestRouter

before(async () => {
  echo = await startEcho({
    say(text) {
      const [found = 'nothing'] = /PERSON_[a-z0-9]{8}/.exec(text) ?? []
      const inner = JSON.stringify({ name: found, also: [`"${found}"`] })
      const call = { to: found, inner, remark: `[see] ${found}`, id: JSON.rawJSON(digits) }
      return { text: 'Done.', call: JSON.stringify(call) }
    },
  })
  const models = Object.fromEntries(
    upstreamKinds.map((kind) => [
      kind,
      { providers: [{ api_type: kind, api_host: echo.url, model_path: 'up' }] },
    ]),
  )
  router = await startRouter({
    models: {
      processors: [{ type: 'masking', words: { PERSON: [name] } }],
      g: models,
      active_models: { g: Object.keys(models) },
    },
  })
})
after(async () => {
  await router.close()
  await echo.close()
})

for (const kind of upstreamKinds)
  for (const dialect of clientDialects)
    for (const stream of [false, true])
      test(`JSON in a string of arguments remains valid: ${dialect} client, ${kind} server, ${stream ? 'streamed' : 'whole'}`, async () => {
        const received = await askIn(dialect, router.url, `I am ${name}.`, { stream, model: kind, more: {} })
        const { to, inner, remark } = JSON.parse(received.call)
        assert.deepEqual([to, remark], [name, `[see] ${name}`])
        assert.deepEqual(JSON.parse(inner), { name, also: [`"${name}"`] })
      })

const parameters = { type: 'object', properties: { id: { enum: [JSON.rawJSON(digits)] } } }
const nested = [{ type: 'function', function: { name: 'f', parameters } }]
const messages = [{ role: 'user', content: `I am ${name}.` }]
const bodies = {
  '/v1/chat/completions': { messages, tools: nested },
  '/v1/messages': { messages, max_tokens: 99, tools: [{ name: 'f', input_schema: parameters }] },
  '/v1/responses': { input: messages, tools: [{ type: 'function', name: 'f', parameters }] },
  '/api/chat': { messages, tools: nested, stream: false },
}
for (const [path, body] of Object.entries(bodies))
  test(`an integer beyond 2^53 keeps its digits in a masked request of ${path} and in the restored call`, async () => {
    for (const model of upstreamKinds) {
      const from = echo.requests.length
      const { text } = await post(router.url + path, { model, ...body })
      assert.match(String(echo.requests[from]?.raw), new RegExp(`"enum":\\[${digits}\\]`), model)
      assert.match(text, new RegExp(`"?id\\\\?":${digits}`), model)
      assert.ok(text.includes('Janek'), model)
    }
  })
