import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { seededRandom } from '../../bench/support/seeded-random.ts'
import { isObject } from '../../src/lib/json/read.ts'
import { startRouter, type TestRouter } from '../helpers/router.ts'
import { type ScriptedUpstream, startUpstream } from '../helpers/scripted-upstream.ts'
import { askIn, clientDialects, endOf } from './dialect-players.ts'
import { type Cut, type Echo, everyCharacter, startEcho, upstreamKinds, wholeText } from './echo-upstream.ts'

let echo: ScriptedUpstream
let judge: ScriptedUpstream
let router: TestRouter
let plain: TestRouter
let cut: Cut = wholeText
let says: Echo = {}
/** What the service received: contents with the text before them. */
let judged: { text: string; before: string }[] = []

before(async () => {
  echo = await startEcho({ cut: (text) => cut(text), say: () => says })
  judge = await startUpstream(({ body }) => {
    const { contents = [], before } = isObject(body) ? body : {}
    assert.ok(Array.isArray(contents) && Array.isArray(before))
    judged.push(...contents.map((text, index) => ({ text, before: before[index] })))
    return {
      kind: 'reply',
      body: { safe: !contents.some((text, index) => `${before[index]}${text}`.includes('BAD')) },
    }
  })
  const models = Object.fromEntries(
    upstreamKinds.map((kind) => [
      `m-${kind}`,
      { providers: [{ api_type: kind, api_host: echo.url, model_path: 'up' }] },
    ]),
  )
  const config = { g: models, active_models: { g: Object.keys(models) } }
  const service = { type: 'http', url: `${judge.url}/judge` }
  router = await startRouter({
    models: { ...config, processors: [{ type: 'guardrail', on: 'response', service }] },
  })
  plain = await startRouter({ models: config })
})
after(async () => {
  await router.close()
  await plain.close()
  await judge.close()
  await echo.close()
})

const random = seededRandom(24)
/** Pieces of 1 to 9 characters. */
const anyPieces: Cut = (text) => {
  const pieces: string[] = []
  for (let at = 0; at < text.length; ) {
    const length = 1 + Math.floor(random() * 9)
    pieces.push(text.slice(at, at + length))
    at += length
  }
  return pieces
}
const cuts = { 'in whole texts': wholeText, 'by characters': everyCharacter, 'in any pieces': anyPieces }
const forms = [
  { name: 'whole', stream: false, chosen: wholeText },
  ...Object.entries(cuts).map(([name, chosen]) => ({ name: `streamed ${name}`, stream: true, chosen })),
]
const thinking = { generationConfig: { thinkingConfig: { includeThoughts: true } } }

for (const kind of upstreamKinds)
  for (const dialect of clientDialects)
    for (const { name, stream, chosen } of forms) {
      const options = { stream, model: `m-${kind}`, more: dialect === 'gemini' ? thinking : {} }

      test(`an allowed response is passed on: ${dialect} client, ${kind} server, ${name}`, async () => {
        cut = chosen
        judged = []
        says = {
          reasoning: 'I think. So I am.',
          // Line ends in JavaScript, but neither in JSON nor in events.
          text: 'First. Then, 3.14 is pi!\nAnd\u2028data: the\u2029rest',
          call: '{"to":"x","n":{"cc":["y"]}}',
        }
        const received = await askIn(dialect, router.url, 'hello', options)
        const other = await askIn(dialect, plain.url, 'hello', options)
        for (const what of ['text', 'reasoning', 'call'] as const) assert.equal(received[what], other[what])
        assert.equal(received.text, says.text)
        const texts = judged.map(({ text }) => text)
        for (const text of ['x', 'y']) assert.ok(texts.includes(text), JSON.stringify(texts))
        const ofText = judged.filter(
          ({ text, before }) => says.text?.includes(before + text) && text.length > 1,
        )
        assert.equal(ofText.map(({ text }) => text).join(''), says.text)
      })

      test(`an unsafe response is blocked: ${dialect} client, ${kind} server, ${name}`, async () => {
        cut = chosen
        judged = []
        says = { text: 'All is well here. But\u2028this is BAD. And more of it', call: '{"to":"x"}' }
        const received = await askIn(dialect, router.url, 'hello', options)
        // The first sentence is judged separately only if it arrived before the rest.
        assert.ok(['', 'All is well here.'].includes(received.text), received.text)
        assert.equal(received.call, '')
        assert.doesNotMatch(received.raw.text, /BAD|more of it/)
        endOf(dialect, received.raw.text, stream)
      })

      test(`an unsafe tool call is blocked: ${dialect} client, ${kind} server, ${name}`, async () => {
        cut = chosen
        says = { text: 'Good.', call: '{"to":"it is BAD"}' }
        const received = await askIn(dialect, router.url, 'hello', options)
        assert.equal(received.call, '')
        assert.doesNotMatch(received.raw.text, /BAD|toolu_|call_1|"f"/)
        endOf(dialect, received.raw.text, stream)
      })
    }
