import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { test } from 'node:test'
import { post } from '../../helpers/http.ts'
import { askIn } from '../dialect-players.ts'
import { address, chat, maskingRig } from './rig.ts'

const rig = maskingRig()
const { routerWith, sent } = rig

test('without processors nothing changes, and a request can turn masking on', async () => {
  const router = await routerWith([])
  await post(`${router.url}/v1/chat/completions`, chat(address))
  assert.ok(sent().raw.includes(address))
  const { text } = await post(`${router.url}/v1/chat/completions`, chat(address, { anonymize: true }))
  assert.equal(sent().raw.includes(address), false)
  assert.equal(sent().raw.includes('anonymize'), false)
  assert.ok(text.includes(address))
  await post(`${router.url}/v1/chat/completions`, chat(address, { anonymize: false }))
  assert.ok(sent().raw.includes(address))
  assert.equal(sent().raw.includes('anonymize'), false)
})

test('text endpoints and chats with a named prompt are masked on request', async () => {
  const router = await routerWith([])
  const simplified = await post(`${router.url}/api/simplify_text`, {
    model_name: 'm',
    texts: [address],
    anonymize: true,
  })
  assert.ok(simplified.text.includes(address), simplified.text)
  assert.equal(sent().raw.includes(address), false)
  const [named] = router.app.prompts.list()
  const headers = { 'content-type': 'application/json', 'x-llm-router-prompt': named?.id ?? '' }
  const body = chat(address, { anonymize: true })
  const answer = await post(`${router.url}/v1/chat/completions`, body, headers)
  if (answer.status === 200) assert.equal(/kowalski|anonymize/.test(sent().raw.toString()), false)
  assert.ok([200, 400].includes(answer.status), answer.text)
})

test('a request cannot turn masking off', async () => {
  const router = await routerWith([{ type: 'masking' }])
  await post(`${router.url}/v1/chat/completions`, chat(address, { anonymize: false }))
  assert.equal(sent().raw.includes(address), false)
})

test('LLM_ROUTER_FORCE_MASKING masks every request', async () => {
  const router = await routerWith([], { env: { LLM_ROUTER_FORCE_MASKING: '1' } })
  const received = await askIn('anthropic', router.url, address, { stream: true })
  assert.equal(received.text, `You said: ${address}`)
  assert.equal(sent().raw.includes(address), false)
})

test('a processor applies to its models, including as fallbacks', async () => {
  const key = 'an-operator-key-of-many-characters'
  const router = await routerWith([{ type: 'masking', models: ['m'] }], {
    env: { LLM_ROUTER_ADMIN_KEY: key },
  })
  for (const [model, isMasked] of [
    ['m', true],
    ['other', false],
    ['back', true],
  ] as const) {
    await post(`${router.url}/v1/chat/completions`, chat(address, { model }))
    assert.equal(sent().raw.includes(address), !isMasked, model)
  }
  const { text } = await post(`${router.url}/api/route`, chat('Hi'), {
    'content-type': 'application/json',
    authorization: `Bearer ${key}`,
  })
  assert.deepEqual(JSON.parse(text).processors, ['masking'], text)
})

test('a changed configuration takes effect without a restart, and an invalid one is ignored', async () => {
  const router = await routerWith([])
  const file = JSON.parse(await (await import('node:fs/promises')).readFile(router.file, 'utf8'))
  writeFileSync(router.file, JSON.stringify({ ...file, processors: [{ type: 'masking' }] }))
  await router.app.reload.now()
  await post(`${router.url}/v1/chat/completions`, chat(address))
  assert.equal(sent().raw.includes(address), false)
  writeFileSync(router.file, JSON.stringify({ ...file, processors: [{ type: 'magic' }] }))
  await router.app.reload.now()
  await post(`${router.url}/v1/chat/completions`, chat(address))
  assert.equal(sent().raw.includes(address), false)
})

test('configuration errors of processors prevent startup, each with its path', async () => {
  for (const [processors, expected] of [
    [[{ type: 'magic' }], /processors\[0\]\.type: no processor "magic"/],
    [[{ type: 'gardrail' }], /no processor "gardrail"; known: .*; did you mean "guardrail"\?/],
    [[{ type: 'masking', kinds: { EMIAL: false } }], /processors\[0\]\.kinds\.EMIAL: .*did you mean "?EMAIL/],
    [[{ type: 'masking', expressions: { A1: '(?=x)y' } }], /processors\[0\]\.expressions/],
    [[{ type: 'masking', expressions: { AB: 'x(?=y)' } }], /expressions\.AB: look-around at character 2/],
    [
      [{ type: 'masking', expressions: { AB: ['a', '(b)\\1'] } }],
      /expressions\.AB\[1\]: a back reference at character 4/,
    ],
    [[{ type: 'masking', models: ['n'] }], /processors\[0\]\.models\[0\]: no active model "n"/],
    [
      [{ type: 'masking' }, { type: 'masking' }],
      /processors\[1\]\.name: "masking" is also the name of processors\[0\]/,
    ],
    [[{ type: 'masking', styles: { PESEL: 'shaped' } }], /styles\.PESEL: only EMAIL, URL, IP, PHONE/],
    [[{ type: 'masking', failure: 'maybe' }], /processors\[0\]\.failure: .*"closed" or "open"/],
  ] as const)
    await assert.rejects(routerWith([...processors], { env: {} }), expected)
})

test('unknown fields are rejected, or pass if the processor fails open', async () => {
  const closed = await routerWith([{ type: 'masking' }])
  for (const [body, param] of [
    [chat('Hi', { unheard_of: 'x' }), 'unheard_of'],
    [chat('Hi', { unheard_of: { deep: ['x'] } }), 'unheard_of'],
    [
      chat([{ type: 'image_url', image_url: { url: 'data:image/png;base64,AA==' } }]),
      'messages[0].content[0].image_url',
    ],
    [
      chat('Hi', { tools: [{ type: 'function', function: { name: `f${address}` } }] }),
      'tools[0].function.name',
    ],
  ] as const) {
    const before = rig.echo.requests.length
    const { status, text } = await post(`${closed.url}/v1/chat/completions`, body)
    const { error } = JSON.parse(text)
    assert.deepEqual([status, error.code], [403, 'not_protected'], text)
    assert.ok(String(error.param).startsWith(param), text)
    assert.equal(rig.echo.requests.length, before)
  }
  const lenient = await routerWith([{ type: 'masking', failure: 'open' }])
  const { status } = await post(`${lenient.url}/v1/chat/completions`, chat('Hi', { unheard_of: 'x' }))
  assert.equal(status, 200)
  assert.ok(sent().raw.includes('unheard_of'))
  const passing = await routerWith([{ type: 'masking', media: 'pass' }])
  const picture = [
    { type: 'text', text: address },
    { type: 'image_url', image_url: { url: 'data:image/png;base64,AA==' } },
  ]
  assert.equal((await post(`${passing.url}/v1/chat/completions`, chat(picture))).status, 200)
  assert.ok(sent().raw.includes('base64,AA=='))
  assert.equal(sent().raw.includes(address), false)
})

test('uploads and token ids cannot be masked and are rejected', async () => {
  const router = await routerWith([{ type: 'masking' }])
  const form = new FormData()
  form.set('model', 'm')
  form.set('file', new Blob(['sound']), 'a.wav')
  const answer = await fetch(`${router.url}/v1/audio/transcriptions`, { method: 'POST', body: form })
  assert.equal(answer.status, 403)
  assert.match(await answer.text(), /not_protected/)
  for (const [path, body] of [
    ['/v1/completions', { model: 'm', prompt: [1, 2, 3] }],
    ['/v1/embeddings', { model: 'm', input: [[1, 2], [3]] }],
    ['/v1/detokenize', { model: 'm', tokens: [1, 2] }],
  ] as const)
    assert.equal((await post(router.url + path, body)).status, 403, path)
})

test('text endpoints and named prompts are also masked', async () => {
  const router = await routerWith([{ type: 'masking' }])
  for (const stream of [false, true]) {
    const answer = await post(`${router.url}/api/conversation_with_model`, {
      model_name: 'm',
      user_last_statement: `Write to ${address}`,
      stream,
    })
    assert.equal(answer.status, 200, answer.text)
    assert.ok(answer.text.includes(address), answer.text)
    assert.equal(sent().raw.includes(address), false)
  }
  const each = await post(`${router.url}/api/simplify_text`, {
    model_name: 'm',
    texts: [`A ${address}`, 'B'],
  })
  assert.ok(each.text.includes(address), each.text)
  for (const { raw } of rig.echo.requests.slice(-2)) assert.equal(raw.includes(address), false)
})

test("the Python router's masking endpoint returns its response form", async () => {
  const router = await routerWith([])
  const { status, text } = await post(`${router.url}/api/fast_text_mask`, {
    text: `To ${address}, PESEL 44051401359, ${address}`,
  })
  assert.equal(status, 200)
  const { text: masked, mappings, stream } = JSON.parse(text)
  assert.match(masked, /^To \{EMAIL_\d{16}_1\}, PESEL \{PESEL_\d{16}_2\}, \{EMAIL_\d{16}_1\}$/)
  assert.deepEqual(Object.values(mappings), [address, '44051401359'])
  assert.equal(stream, false)
})

test('log and metrics contain counts and outcomes, but no content', async () => {
  const router = await routerWith([{ type: 'masking' }], { env: { LLM_ROUTER_USE_PROMETHEUS: '1' } })
  const logged = router.requestLogged()
  await post(`${router.url}/v1/chat/completions`, chat(`${address} and anna@firma.pl`))
  const line = await logged
  assert.deepEqual(line.processors, [{ processor: 'masking', outcome: 'changed', values: 2 }])
  assert.equal(line.restored, 2)
  assert.doesNotMatch(JSON.stringify(router.logs), /kowalski|anna@|EMAIL_/)
  const metrics = await (await fetch(`${router.url}/metrics`)).text()
  assert.match(metrics, /llm_router_processor_runs_total\{processor="masking",outcome="changed"\} 1/)
  assert.match(metrics, /llm_router_processor_values_total\{processor="masking"\} 2/)
  assert.match(metrics, /llm_router_processor_restored_total 2/)
  assert.match(metrics, /llm_router_processor_duration_seconds_count\{processor="masking"\} 1/)
})
