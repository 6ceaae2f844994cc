import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { startRouter, type TestRouter } from '../../helpers/router.ts'
import type { ScriptedUpstream } from '../../helpers/scripted-upstream.ts'
import { askIn, clientDialects } from '../dialect-players.ts'
import { type Cut, everyCharacter, startEcho, upstreamKinds, wholeText } from '../echo-upstream.ts'

const value = 'jan.kowalski@firma.pl'
const pseudonym = /EMAIL_[2-9b-df-hj-np-tv-z]{8}/

let echo: ScriptedUpstream
let router: TestRouter
let cut: Cut = wholeText

before(async () => {
  echo = await startEcho({
    cut: (text) => cut(text),
    say(text) {
      const [found = 'nothing'] = pseudonym.exec(text) ?? []
      return {
        text: `Write to ${found}, or to "${found}"em.`,
        reasoning: `They said ${found}`,
        call: `{"to":"${found}","n":{"cc":["x","${found}"]}}`,
      }
    },
  })
  const models = Object.fromEntries(
    upstreamKinds.map((kind) => [
      `m-${kind}`,
      { providers: [{ api_type: kind, api_host: echo.url, model_path: 'up' }] },
    ]),
  )
  router = await startRouter({
    models: {
      processors: [{ type: 'masking' }],
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
      for (const [cutName, chosen] of stream
        ? ([
            ['in whole texts', wholeText],
            ['by characters', everyCharacter],
          ] as const)
        : ([['', wholeText]] as const))
        test(`values are masked and restored: ${dialect} client, ${kind} server, ${stream ? `streamed ${cutName}` : 'whole'}`, async () => {
          cut = chosen
          const seen = echo.requests.length
          const received = await askIn(dialect, router.url, `My address is ${value}.`, {
            stream,
            model: `m-${kind}`,
            more:
              dialect === 'gemini' ? { generationConfig: { thinkingConfig: { includeThoughts: true } } } : {},
          })
          assert.equal(received.text, `Write to ${value}, or to "${value}"em.`)
          assert.deepEqual(JSON.parse(received.call), { to: value, n: { cc: ['x', value] } })
          assert.equal(received.reasoning, `They said ${value}`)
          assert.equal(
            pseudonym.test(received.raw.text.replaceAll(/signature[^}]*/g, '')),
            false,
            received.raw.text,
          )
          for (const { raw } of echo.requests.slice(seen)) {
            assert.equal(raw.includes(value), false, raw.toString())
            assert.match(raw.toString(), pseudonym)
          }
        })
