import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { isObject } from '../../src/lib/json/read.ts'
import { eventsIn } from '../helpers/events-in.ts'
import { startRouter, type TestRouter } from '../helpers/router.ts'
import type { ScriptedUpstream } from '../helpers/scripted-upstream.ts'
import { askIn, type ClientDialect, clientDialects } from '../processors/dialect-players.ts'
import { everyCharacter, startEcho, upstreamKinds } from '../processors/echo-upstream.ts'

const said = 'Żółw says: "it is\n42".'
const address = 'jan.kowalski@firma.pl'
/** Stored responses contain a pseudonym in place of the address. */
const text = `${said} ${address}`
let echo: ScriptedUpstream
let router: TestRouter

before(async () => {
  echo = await startEcho({
    say: (asked) => ({ text: `${said} ${/EMAIL_\w+/.exec(asked)?.[0] ?? ''}`, reasoning: 'Hm.' }),
    cut: everyCharacter,
  })
  const types = { openai: 'vllm', anthropic: 'anthropic', gemini: 'gemini', ollama: 'ollama' }
  const models = Object.fromEntries(
    upstreamKinds.map((kind) => [
      kind,
      { providers: [{ api_type: types[kind], api_host: echo.url, model_path: 'up', api_token: 'k' }] },
    ]),
  )
  router = await startRouter({
    models: {
      processors: [{ type: 'cache' }, { type: 'masking' }],
      g: models,
      active_models: { g: [...upstreamKinds] },
    },
  })
})
after(async () => {
  await router.close()
  await echo.close()
})

/** Where each dialect has the response id and the number of cached tokens. */
const marks: Record<ClientDialect, { id?: string; cached?: string }> = {
  openai: { id: 'id', cached: 'cached_tokens' },
  anthropic: { id: 'id', cached: 'cache_read_input_tokens' },
  gemini: { id: 'responseId', cached: 'cachedContentTokenCount' },
  ollama: {},
  responses: { id: 'id', cached: 'cached_tokens' },
}

/** Gemini returns thoughts only if they are requested. */
const more: Partial<Record<ClientDialect, Record<string, unknown>>> = {
  gemini: { generationConfig: { thinkingConfig: { includeThoughts: true } } },
}

/** All values of a key in a response, at any depth. */
function valuesOf(answer: string, name: string | undefined): unknown[] {
  const events = eventsIn(answer)
  const values: unknown[] = []
  const visit = (value: unknown): void => {
    if (Array.isArray(value)) value.forEach(visit)
    if (!isObject(value)) return
    if (name !== undefined && value[name] !== undefined) values.push(value[name])
    Object.values(value).forEach(visit)
  }
  visit(events.length > 0 ? events : JSON.parse(answer))
  return values
}

for (const kind of upstreamKinds)
  for (const dialect of clientDialects)
    for (const kept of [false, true])
      test(`${dialect} over ${kind}: a response cached ${kept ? 'from a stream' : 'whole'} is returned whole and streamed`, async () => {
        const question = `${kind} ${dialect} ${kept} about ${address}`
        const ask = (stream: boolean) =>
          askIn(dialect, router.url, question, { stream, model: kind, more: more[dialect] ?? {} })
        const { id, cached } = marks[dialect]
        const fresh = await ask(kept)
        assert.equal(fresh.raw.headers.get('x-llm-router-cache'), 'miss')
        assert.equal(fresh.text, text)
        assert.ok(!echo.requests.at(-1)?.raw.includes(address))
        const ids = new Set(valuesOf(fresh.raw.text, id))
        for (const stream of [false, true, kept]) {
          const type = await typeOf(dialect, stream, kind)
          const asked = echo.requests.length
          const again = await ask(stream)
          assert.equal(again.raw.headers.get('x-llm-router-cache'), 'hit')
          assert.equal(echo.requests.length, asked)
          assert.equal(again.text, text)
          assert.equal(again.reasoning, fresh.reasoning)
          assert.equal(again.raw.headers.get('content-type'), type)
          const own = new Set(valuesOf(again.raw.text, id))
          assert.deepEqual(
            [...own].filter((each) => ids.has(each)),
            [],
            'the ids are new',
          )
          for (const each of own) ids.add(each)
          // OpenAI's streams have usage only if the client requests it.
          if (cached !== undefined && !(dialect === 'openai' && stream))
            assert.ok(valuesOf(again.raw.text, cached).includes(3), again.raw.text)
        }
      })

/** The content type of a response that is not from the cache. */
async function typeOf(dialect: ClientDialect, stream: boolean, model: string): Promise<string | null> {
  const { raw } = await askIn(dialect, router.url, `type of ${stream}`, {
    stream,
    model,
    headers: { 'cache-control': 'no-store' },
  })
  return raw.headers.get('content-type')
}
