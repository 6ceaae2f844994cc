import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { startRouter, type TestRouter } from '../helpers/router.ts'
import type { ScriptedUpstream } from '../helpers/scripted-upstream.ts'
import { askIn, clientDialects } from './dialect-players.ts'
import { startEcho, upstreamKinds } from './echo-upstream.ts'

/** It needs escapes at each level of JSON. */
const name = 'Jan "Janek" Kowalski'

let echo: ScriptedUpstream
let router: TestRouter

before(async () => {
  echo = await startEcho({
    say(text) {
      const [found = 'nothing'] = /PERSON_[a-z0-9]{8}/.exec(text) ?? []
      const inner = JSON.stringify({ name: found, also: [`"${found}"`] })
      return { text: 'Done.', call: JSON.stringify({ to: found, inner, remark: `[see] ${found}` }) }
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
