import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { isObject } from '../../src/lib/json/read.ts'
import { eventsIn } from '../helpers/events-in.ts'
import { post } from '../helpers/http.ts'
import { startRouter, type TestRouter } from '../helpers/router.ts'
import { type ScriptedUpstream, startUpstream } from '../helpers/scripted-upstream.ts'
import { askIn, clientDialects } from '../processors/dialect-players.ts'
import { lastText, startEcho, upstreamKinds } from '../processors/echo-upstream.ts'

let echo: ScriptedUpstream
let search: ScriptedUpstream
let router: TestRouter

before(async () => {
  echo = await startEcho({ say: () => ({ text: 'Fine.' }) })
  const results = [{ text: 'Twenty days, says the codeword.', title: 'Leave', source: 'leave.md' }]
  search = await startUpstream({ kind: 'reply', body: { results } })
  const g = Object.fromEntries(
    upstreamKinds.map((api_type) => [
      api_type,
      { providers: [{ api_type, api_host: echo.url, api_token: 'sk' }] },
    ]),
  )
  const guarded = { providers: [{ api_type: 'vllm', api_host: echo.url }] }
  router = await startRouter({
    models: {
      processors: [
        { type: 'guardrail', words: ['codeword'], models: ['guarded'] },
        { type: 'retrieval', clients: ['*'], service: { type: 'http', url: search.url } },
      ],
      g: { ...g, guarded },
      active_models: { g: [...upstreamKinds, 'guarded'] },
    },
  })
})
after(async () => {
  await router.close()
  await echo.close()
  await search.close()
})

/** The sources in what the router sends, wherever the dialect has them. */
function sourcesIn(answer: unknown): unknown {
  if (!isObject(answer)) return undefined
  const { llm_router: own } = answer
  return isObject(own) ? own.sources : (sourcesIn(answer.response) ?? sourcesIn(answer.message))
}

for (const kind of upstreamKinds)
  test(`clients of each dialect get the sources of passages sent to a server of the type ${kind}`, async () => {
    for (const dialect of clientDialects)
      for (const stream of [false, true]) {
        const about = `${dialect}, ${stream ? 'streamed' : 'whole'}`
        const { raw, text } = await askIn(dialect, router.url, 'How long is leave?', { stream, model: kind })
        assert.equal(text, 'Fine.', about)
        const sent = echo.requests.at(-1)
        assert.match(
          lastText(sent?.body),
          /\[1\] Leave, leave\.md\nTwenty days[\s\S]*<\/retrieved_passages>$/,
          about,
        )
        assert.equal(sent?.raw.toString().split('<retrieved_passages>').length, 2, about)
        assert.match(sent?.raw.toString() ?? '', /How long is leave\?/, about)
        const answers = stream ? eventsIn(raw.text) : [JSON.parse(raw.text)]
        const named = answers.map(sourcesIn).filter((sources) => sources !== undefined)
        assert.deepEqual(
          named[0],
          [{ number: 1, retrieval: 'retrieval', title: 'Leave', source: 'leave.md' }],
          about,
        )
      }
  })

test('guardrails judge the passages that retrieval adds', async () => {
  const body = { model: 'guarded', messages: [{ role: 'user', content: 'How long is leave?' }] }
  const before = echo.requests.length
  const answer = await post(`${router.url}/v1/chat/completions`, body)
  assert.deepEqual([answer.status, JSON.parse(answer.text).error.code], [400, 'content_filter'])
  assert.equal(echo.requests.length, before)
})
