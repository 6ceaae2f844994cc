import assert from 'node:assert/strict'
import { test } from 'node:test'
import { isObject } from '../../../src/lib/json/read.ts'
import { closedPort, post } from '../../helpers/http.ts'
import { startUpstream } from '../../helpers/scripted-upstream.ts'
import { askIn } from '../dialect-players.ts'
import { lastText } from '../echo-upstream.ts'
import { address, chat, maskingRig } from './rig.ts'

const rig = maskingRig()
const { open, routerWith, sent } = rig

test('a service that fails rejects the request within its timeout, or lets it pass', async () => {
  const hanging = await startUpstream({ kind: 'hang' })
  const nonsense = await startUpstream({ kind: 'reply', body: { anonymized: {} } })
  open.push(hanging, nonsense)
  for (const service of [
    { type: 'presidio', url: await closedPort() },
    { type: 'presidio', url: hanging.url },
    { type: 'pii_masker', url: nonsense.url },
  ]) {
    const processor = { type: 'masking', timeout: 0.3, services: [service] }
    const before = rig.echo.requests.length
    const closed = await routerWith([processor])
    const refused = await post(`${closed.url}/v1/chat/completions`, chat('Hi'))
    assert.deepEqual([refused.status, JSON.parse(refused.text).error.code], [503, 'processor_failed'])
    assert.equal(rig.echo.requests.length, before)
    const lenient = await routerWith([{ ...processor, failure: 'open' }])
    assert.equal((await post(`${lenient.url}/v1/chat/completions`, chat('Hi'))).status, 200)
    await lenient.logged(({ msg }) => msg === 'processor failed; the request continues')
  }
})

test('services find further values after the built-in kinds: Presidio, by code points', async () => {
  const presidio = await startUpstream(({ body }) => {
    const text = isObject(body) && typeof body.text === 'string' ? [...body.text] : []
    const start =
      text.join('').indexOf('Zofia') === -1 ? -1 : [...(text.join('').split('Zofia')[0] ?? '')].length
    const end = start + 'Zofia Nowak'.length
    return { kind: 'reply', body: start === -1 ? [] : [{ entity_type: 'PERSON', start, end, score: 0.9 }] }
  })
  open.push(presidio)
  const router = await routerWith([
    { type: 'masking', services: [{ type: 'presidio', url: presidio.url, language: 'pl' }] },
  ])
  const received = await askIn('openai', router.url, `🙂 Zofia Nowak, ${address}`, { stream: true })
  assert.equal(received.text, `You said: 🙂 Zofia Nowak, ${address}`)
  assert.match(lastText(sent().body), /^🙂 PERSON_\w{8}, EMAIL_\w{8}$/)
  assert.equal(presidio.requests[0]?.raw.includes(address), false)
})

test("services find further values: the Python router's masker", async () => {
  const masker = await startUpstream(({ body }) => {
    const texts = isObject(body) ? body : {}
    const anonymized = Object.fromEntries(
      Object.entries(texts).map(([key, text]) => [
        key,
        String(text).replaceAll('Zofia Nowak', '{NAME_17_1}'),
      ]),
    )
    return { kind: 'reply', body: { anonymized, mappings: { NAME_17_1: 'Zofia Nowak' } } }
  })
  open.push(masker)
  const env = {
    LLM_ROUTER_FORCE_MASKING: '1',
    LLM_ROUTER_MASKING_STRATEGY_PIPELINE: 'fast_masker,pii_masker',
    LLM_ROUTER_MASKER_PII_HOST: masker.url,
  }
  const router = await routerWith([], { env })
  const received = await askIn('openai', router.url, `Zofia Nowak, ${address}`, { stream: false })
  assert.equal(received.text, `You said: Zofia Nowak, ${address}`)
  assert.match(lastText(sent().body), /^NAME_\w{8}, EMAIL_\w{8}$/)
  assert.equal(masker.requests[0]?.url, '/api/maskers/pii')
})
