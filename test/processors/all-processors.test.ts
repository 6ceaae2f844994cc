import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { isObject } from '../../src/lib/json/read.ts'
import { providerTypes } from '../../src/providers/index.ts'
import { statusWhen, targetIn } from '../helpers/status-events.ts'
import {
  type AllProcessors,
  assertMasked,
  assertNoTrace,
  conversation,
  startAllProcessors,
  values,
} from './all-processors.ts'
import { officialClients } from './official-players.ts'
import type { OfficialAnswer, OfficialClient } from './official-question.ts'

/** All types but the mock, which has no server. */
const kinds = providerTypes.map(({ name }) => name).filter((name) => name !== 'mock')

/** Call ids that servers of these types send; servers of the other types send none. */
const idOf: Readonly<Record<string, string | undefined>> = {
  anthropic: 'toolu_1',
  gemini: undefined,
  ollama: undefined,
}

let all: AllProcessors
before(async () => {
  all = await startAllProcessors({ kinds })
})
after(() => all.close())

/** What the client must find in a response: everything the model said and the retrieved source, each value once. */
function checkAnswer(
  { text, calls, finish, usage }: OfficialAnswer,
  client: OfficialClient,
  kind: string,
): void {
  const [, known = '', quoted, escaped] = /^I know (.*)\.\nAnd again: "(.*)"em, (.*)\.$/s.exec(text) ?? []
  const list = known.split(' | ')
  const { user, passage, tool, ...said } = values
  const turns = client.hasTurns ? [...passage, ...tool] : []
  const wanted = [
    ...Object.values(said).flat(),
    ...turns,
    ...(client.name === 'ollama generate' ? passage : []),
  ]
  assert.deepEqual(new Set(list.filter((each) => each !== user[0])), new Set(wanted), text)
  assert.deepEqual([quoted, escaped], [list[0], list.at(-1)])
  assert.deepEqual(usage, [3, 5])
  assert.equal(finish, client.finish)
  if (!client.hasTurns) return
  assert.equal(calls.length, 1)
  const [call] = calls
  assert.equal(call?.name, 'f')
  assert.deepEqual(call?.input, { to: list[0], all: { of: list }, said: `it is "${list[0]}"` })
  const id = kind in idOf ? idOf[kind] : 'call_1'
  if (id !== undefined && client.name !== 'ollama chat') assert.equal(call?.id, id)
}

for (const kind of kinds)
  describe(`all processors with a server of the type ${kind}`, () => {
    for (const client of officialClients)
      for (const stream of [false, true])
        test(`work with ${client.name}, ${stream ? 'streamed' : 'whole'}`, async () => {
          const { router, model, services } = all
          const { url } = router
          const words = conversation(`${client.name} ${stream}`)
          const question = { url, model: kind, stream, words }
          const sent = model.requests.length
          const served = services.requests.length
          const first = await client.ask(question)
          checkAnswer(first, client, kind)
          assert.equal(model.requests.length, sent + 1)
          const request = model.requests[sent] ?? assert.fail()
          assertMasked(request)
          checkServices(served)

          const again = await client.ask(question)
          assert.equal(model.requests.length, sent + 1, 'the cache had no response')
          assert.deepEqual(comparable(again, first), comparable(first, first))
          checkServices(served)
        })

    test('aborted streams leave no running requests', async () => {
      const { router, model } = all
      all.hang(true)
      try {
        const from = model.requests.length
        const asking = officialClients.map((client) => {
          const abort = new AbortController()
          const asked = client.ask({
            url: router.url,
            model: kind,
            stream: true,
            signal: abort.signal,
            words: conversation(`${client.name} aborted`),
            onText: () => abort.abort(),
          })
          return assert.rejects(asked, { name: /Abort|^Error$/ }, client.name)
        })
        await Promise.all(asking)
        await Promise.all(asking.map((_asked, index) => model.requestClosed(from + index)))
        await statusWhen(router.url, (status) => targetIn(status, kind)?.in_flight === 0)
      } finally {
        all.hang(false)
      }
    })
  })

/** A cache hit marks the prompt tokens as cached, in the dialect's own field; a call without an id has been given one. */
function comparable({ usage: _usage, calls, ...answer }: OfficialAnswer, first: OfficialAnswer): unknown {
  return {
    ...answer,
    calls: calls.map((call, index) => ({ ...call, id: first.calls[index]?.id && call.id })),
  }
}

/** Each service sees the contents masked or unmasked, as configured. */
function checkServices(from: number): void {
  const requests = all.services.requests.slice(from)
  const seen = new Set(requests.map(({ url }) => url))
  for (const path of ['/early', '/masked', '/raw', '/late']) assert.ok(seen.has(path), path)
  for (const { url, raw, body } of requests) {
    if (url === '/masked' || url === '/raw') assertNoTrace(isObject(body) ? body : raw.toString())
    else assert.doesNotMatch(raw.toString(), /EMAIL_|PHONE_|PROJECT_/, url)
  }
}

test('no log line contains a value', () => {
  assert.ok(all.router.logs.length > kinds.length * officialClients.length)
  assertNoTrace(all.router.logs)
})
