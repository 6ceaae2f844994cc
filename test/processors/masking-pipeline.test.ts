import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { after, afterEach, before, test } from 'node:test'
import { isObject, objectsIn } from '../../src/lib/json/read.ts'
import { closedPort, post } from '../helpers/http.ts'
import { startRouter } from '../helpers/router.ts'
import { type RecordedRequest, type ScriptedUpstream, startUpstream } from '../helpers/scripted-upstream.ts'
import { SharedRouter } from '../helpers/shared-router.ts'
import { askIn, eventsIn } from './dialect-players.ts'
import { lastText, startEcho } from './echo-upstream.ts'

const address = 'jan.kowalski@firma.pl'
const pseudonym = /[A-Z]{2,7}_[2-9b-df-hj-km-np-tv-z]{8}/

let echo: ScriptedUpstream
const shared = new SharedRouter()
const open: { close(): Promise<void> }[] = []

before(async () => {
  echo = await startEcho({ say: (text) => ({ text: `You said: ${text}` }) })
})
after(async () => {
  await shared.close()
  await echo.close()
})
afterEach(async () => {
  for (const each of open.splice(0).toReversed()) await each.close()
})

/**
 * A router whose models `m` and `other` use the echo server: the router that the tests share, unless it has its own
 * environment.
 */
async function routerWith(
  processors: unknown[],
  options: { env?: Record<string, string>; upstream?: string } = {},
) {
  const { env, upstream = echo.url } = options
  const providers = [{ api_type: 'vllm', api_host: upstream, model_path: 'up' }]
  const models = { m: { providers }, other: { providers }, back: { providers, fallbacks: ['m'] } }
  const config = { processors, g: models, active_models: { g: ['m', 'other', 'back'] } }
  if (env === undefined) return shared.with(config)
  const router = await startRouter({ models: config, env })
  open.push(router)
  return router
}

const chat = (content: unknown, more: object = {}) => ({
  model: 'm',
  messages: [{ role: 'user', content }],
  ...more,
})

/** The last request that reached the server. */
function sent(): RecordedRequest {
  return echo.requests.at(-1) ?? assert.fail('no request was sent')
}

test('in the same dialect only values change, and all other bytes are forwarded unchanged', async () => {
  const router = await routerWith([{ type: 'masking' }])
  const body = `{ "model":"m" , "messages": [ {"role":"user","content":"To ${address}\\u002c \\"x\\""} ],\n "temperature":0.10, "seed": 12345678901234567890 }`
  const { status, text } = await post(`${router.url}/v1/chat/completions`, body)
  assert.equal(status, 200, text)
  const expected = body.replace('"m"', '"up"')
  const [found = ''] = pseudonym.exec(sent().raw.toString()) ?? []
  assert.equal(
    sent().raw.toString(),
    expected.replace(`To ${address}\\u002c \\"x\\"`, `To ${found}, \\"x\\"`),
  )
  assert.ok(text.includes(`You said: To ${address}, `))
})

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
    const before = echo.requests.length
    const { status, text } = await post(`${closed.url}/v1/chat/completions`, body)
    const { error } = JSON.parse(text)
    assert.deepEqual([status, error.code], [403, 'not_protected'], text)
    assert.ok(String(error.param).startsWith(param), text)
    assert.equal(echo.requests.length, before)
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

test('message parts are masked as one text, arguments are decoded, and numbers become strings', async () => {
  const router = await routerWith([{ type: 'masking' }])
  const call = {
    id: 'c1',
    type: 'function',
    function: { name: 'f', arguments: '{"to":"jan\\u0040firma.pl","id":44051401359}' },
  }
  const messages = [
    {
      role: 'user',
      content: [
        { type: 'text', text: 'To jan.kowal' },
        { type: 'text', text: 'ski@firma.pl now' },
      ],
    },
    { role: 'assistant', content: null, tool_calls: [call] },
    { role: 'tool', tool_call_id: 'c1', content: '{"mail":"anna\\u0040firma.pl","pesel":44051401359}' },
  ]
  const { status, text } = await post(`${router.url}/v1/chat/completions`, { model: 'm', messages })
  assert.equal(status, 200, text)
  const raw = sent().raw.toString()
  assert.doesNotMatch(raw, /kowal|firma|0040|44051401359/)
  const body = sent().body
  const list = isObject(body) && Array.isArray(body.messages) ? body.messages : []
  const args = JSON.parse(list[1].tool_calls[0].function.arguments)
  assert.match(args.id, /^PESEL_/)
  assert.equal(list[0].content[0].text.startsWith('To EMAIL_'), true)
  assert.equal(list[0].content[1].text, ' now')
})

test('a value at the end of a part is found, whatever follows it', async () => {
  const router = await routerWith([{ type: 'masking', words: { PROJECT: ['Blue Falcon'] } }])
  const text = (said: string) => ({ type: 'text', text: said })
  const long = 'x '.repeat(1_000)
  for (const parts of [
    [text('44051401359'), text('5 apples')],
    [text(`${long}44051401359`), text(`5 apples ${long}`)],
    [text('I read Blue Falcon'), text('Please go on')],
    [text('call 600 700 800'), text('900 times')],
  ]) {
    const { status, text: answer } = await post(`${router.url}/v1/chat/completions`, chat(parts))
    assert.equal(status, 200, answer)
    assert.doesNotMatch(sent().raw.toString(), /44051401359|Falcon|600 700/)
  }
  const tool = {
    type: 'tool_use',
    id: 'c1',
    name: 'f',
    input: { about: 'Blue Falcon', pesel: '44051401359' },
  }
  const messages = [
    { role: 'user', content: 'Hi' },
    { role: 'assistant', content: [tool, text('5 apples'), { ...tool, id: 'c2' }] },
    {
      role: 'user',
      content: ['c1', 'c2'].map((id) => ({ type: 'tool_result', tool_use_id: id, content: 'ok' })),
    },
  ]
  const { status } = await post(`${router.url}/v1/messages`, { model: 'm', max_tokens: 9, messages })
  assert.equal(status, 200)
  assert.doesNotMatch(sent().raw.toString(), /44051401359|Falcon/)
})

test('tool results are decoded at each level, also in a conversation that the router stores', async () => {
  const router = await routerWith([{ type: 'masking' }])
  const first = await post(`${router.url}/v1/responses`, { model: 'm', input: 'Hi' })
  const inner = '{"mail":"jan.kowalski\\u0040firma.pl"}'
  const input = [
    { type: 'function_call', call_id: 'c1', name: 'f', arguments: JSON.stringify({ inner }) },
    { type: 'function_call_output', call_id: 'c1', output: [{ type: 'input_text', text: inner }] },
    { type: 'function_call', call_id: 'c2', name: 'f', arguments: '{}' },
    { type: 'function_call_output', call_id: 'c2', output: JSON.stringify([{ inner }]) },
  ]
  for (const more of [{}, { previous_response_id: JSON.parse(first.text).id }]) {
    const { status, text } = await post(`${router.url}/v1/responses`, { model: 'm', input, ...more })
    assert.equal(status, 200, text)
    const raw = sent().raw.toString()
    assert.doesNotMatch(raw, /kowalski/)
    assert.equal(raw.split('EMAIL_').length - 1, 3)
  }
})

test('a value at the end of a part does not extend into the next one', async () => {
  const router = await routerWith([{ type: 'masking' }])
  await post(
    `${router.url}/v1/chat/completions`,
    chat([
      { type: 'text', text: `My address is ${address}` },
      { type: 'text', text: 'What is it for?' },
    ]),
  )
  const parts = (): unknown => at(sent().body, 'messages', 0, 'content')
  assert.match(String(at(parts(), 0, 'text')), /^My address is EMAIL_\w{8}$/)
  assert.equal(at(parts(), 1, 'text'), 'What is it for?')
})

test('documents, file names and arguments are separate texts', async () => {
  const claude = await startEcho({ say: () => ({ text: 'Yes.' }) })
  open.push(claude)
  const providers = (type: string) => [{ api_type: type, api_host: claude.url, model_path: 'up' }]
  const router = await startRouter({
    models: {
      processors: [{ type: 'masking' }],
      g: { c: { providers: providers('anthropic') }, g: { providers: providers('gemini') } },
      active_models: { g: ['c', 'g'] },
    },
  })
  open.push(router)
  const answer = await post(`${router.url}/v1/messages`, {
    model: 'c',
    max_tokens: 9,
    messages: [
      {
        role: 'user',
        content: [
          {
            type: 'document',
            title: `Pismo od ${address}`,
            context: 'umowa',
            source: { type: 'text', media_type: 'text/plain', data: `pisze ${address}` },
          },
          { type: 'text', text: 'co to jest?' },
        ],
      },
    ],
  })
  assert.equal(answer.status, 200, answer.text)
  const [document, text] = objectsIn(at(claude.requests.at(-1)?.body, 'messages', 0, 'content'))
  assert.match(String(document?.title), /^Pismo od EMAIL_\w{8}$/)
  assert.equal(document?.context, 'umowa')
  assert.match(String(at(document?.source, 'data')), /^pisze EMAIL_\w{8}$/)
  assert.equal(text?.text, 'co to jest?')
  await post(`${router.url}/v1beta/models/g:generateContent`, {
    contents: [
      { role: 'user', parts: [{ text: 'Hi' }] },
      {
        role: 'model',
        parts: [{ functionCall: { name: 'f', args: { to: address } } }, { text: 'wysłano' }],
      },
    ],
  })
  const [call, said] = objectsIn(at(claude.requests.at(-1)?.body, 'contents', 1, 'parts'))
  assert.match(String(at(call?.functionCall, 'args', 'to')), /^EMAIL_\w{8}$/)
  assert.equal(said?.text, 'wysłano')
})

function at(value: unknown, ...path: (string | number)[]): unknown {
  let found = value
  for (const step of path) {
    const container: Record<string | number, unknown> = Object(found)
    found = container[step]
  }
  return found
}

test('a client cannot obtain a value by writing its pseudonym', async () => {
  const router = await routerWith([{ type: 'masking' }])
  await post(`${router.url}/v1/chat/completions`, chat(address))
  const [own = ''] = pseudonym.exec(sent().raw.toString()) ?? []
  const received = await askIn('openai', router.url, `${own} and ${own.toLowerCase()} of ${address}`, {
    stream: true,
  })
  assert.equal(received.text, `You said: ${own} and ${own.toLowerCase()} of ${address}`)
  assert.equal(lastText(sent().body).includes(`LITERAL_`), true)
})

test('the same value has the same pseudonym in every turn', async () => {
  const router = await routerWith([{ type: 'masking' }], {
    env: { LLM_ROUTER_MASKING_SECRET: 'x'.repeat(32) },
  })
  const pseudonyms = new Set<string>()
  for (const text of [address, `again ${address}`, `first ${'anna@firma.pl'} then ${address}`]) {
    await post(`${router.url}/v1/chat/completions`, chat(text))
    pseudonyms.add([...sent().raw.toString().matchAll(new RegExp(pseudonym, 'g'))].at(-1)?.[0] ?? '')
  }
  assert.equal(pseudonyms.size, 1)
})

test('"unmask": false leaves pseudonyms in responses', async () => {
  const router = await routerWith([{ type: 'masking', unmask: false }])
  const received = await askIn('openai', router.url, address, { stream: false })
  assert.match(received.text, /^You said: EMAIL_/)
})

test('"system": false leaves system prompts unchanged', async () => {
  for (const [system, expected] of [
    [true, 0],
    [false, 1],
  ] as const) {
    const router = await routerWith([{ type: 'masking', system }])
    const messages = [
      { role: 'system', content: `Boss: ${address}` },
      { role: 'user', content: address },
    ]
    await post(`${router.url}/v1/chat/completions`, { model: 'm', messages })
    assert.equal(sent().raw.toString().split(address).length - 1, expected)
  }
})

test('descriptions and examples of tools are masked, their names and types are not', async () => {
  const router = await routerWith([{ type: 'masking' }])
  const properties = {
    to: { type: 'string', description: `Such as ${address}`, examples: [address], enum: [address] },
  }
  const tools = [{ type: 'function', function: { name: 'send', parameters: { type: 'object', properties } } }]
  const { status, text } = await post(`${router.url}/v1/chat/completions`, chat('Hi', { tools }))
  assert.equal(status, 200, text)
  const { tools: got } = JSON.parse(sent().raw.toString())
  assert.match(got[0].function.parameters.properties.to.description, /^Such as EMAIL_\w{8}$/)
  assert.equal(got[0].function.name, 'send')
  assert.equal(sent().raw.includes(address), false)
})

test('a pseudonym has the format that the schema requires', async () => {
  const router = await routerWith([{ type: 'masking' }])
  const parameters = { type: 'object', properties: { to: { type: 'string', format: 'email' } } }
  const tools = [{ type: 'function', function: { name: 'send', parameters } }]
  const { text } = await post(`${router.url}/v1/chat/completions`, chat(`Write to ${address}`, { tools }))
  assert.match(lastText(sent().body), /^Write to [2-9a-z]{8}@masked\.invalid$/)
  assert.ok(text.includes(`Write to ${address}`))
})

test('structured output remains valid JSON with any value', async () => {
  const upstream = await startEcho({
    cut: (text) => [...text],
    say: (text) => ({ text: JSON.stringify({ name: /[A-Z]+_\w{8}/.exec(text)?.[0] }) }),
  })
  open.push(upstream)
  const router = await routerWith([{ type: 'masking', expressions: { QUOTED: '<[^>]*>' } }], {
    upstream: upstream.url,
  })
  for (const stream of [false, true]) {
    const received = await askIn('openai', router.url, 'x <a"b\\c> y', {
      stream,
      more: { response_format: { type: 'json_object' } },
    })
    assert.deepEqual(JSON.parse(received.text), { name: '<a"b\\c>' })
  }
})

test('responses are stored with their values, and continued with the whole history masked', async () => {
  const router = await routerWith([{ type: 'masking' }])
  const first = await post(`${router.url}/v1/responses`, { model: 'm', input: `I am ${address}` })
  const { id } = JSON.parse(first.text)
  const stored = await (await fetch(`${router.url}/v1/responses/${id}`)).text()
  assert.ok(stored.includes(address))
  assert.doesNotMatch(stored, /EMAIL_/)
  const second = await post(`${router.url}/v1/responses`, {
    model: 'm',
    input: 'Who am I?',
    previous_response_id: id,
  })
  assert.equal(second.status, 200, second.text)
  const raw = sent().raw.toString()
  assert.ok(raw.includes('You said: I am EMAIL_'))
  assert.equal(raw.includes(address), false)
  const before = echo.requests.length
  const counting = { model: 'm', input: 'Who am I?', previous_response_id: id }
  const counted = await post(`${router.url}/v1/responses/input_tokens`, counting)
  assert.equal(counted.status, 200, counted.text)
  for (const request of echo.requests.slice(before)) assert.equal(request.raw.includes(address), false)
  assert.ok(echo.requests.length > before, 'the engine was asked to count tokens')
  for (const more of [{ background: true }, { conversation: 'c1' }])
    assert.equal((await post(`${router.url}/v1/responses`, { model: 'm', input: 'x', ...more })).status, 403)
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
  for (const { raw } of echo.requests.slice(-2)) assert.equal(raw.includes(address), false)
})

test('signed thinking is sent back to its upstream exactly as the upstream wrote it', async () => {
  const upstream = await startEcho({
    cut: (text) => [...text],
    say: (text) => ({
      text: 'ok',
      reasoning: `about ${(/EMAIL_\w{8}/.exec(text)?.[0] ?? '').toLowerCase()}`,
    }),
  })
  open.push(upstream)
  const providers = [{ api_type: 'anthropic', api_host: upstream.url, model_path: 'up' }]
  const router = await startRouter({
    models: { processors: [{ type: 'masking' }], g: { m: { providers } }, active_models: { g: ['m'] } },
  })
  open.push(router)
  const first = { role: 'user', content: address }
  for (const stream of [false, true]) {
    const { text } = await post(`${router.url}/v1/messages`, {
      model: 'm',
      max_tokens: 10,
      stream,
      messages: [first],
    })
    let thinking = ''
    let signature = ''
    if (stream)
      for (const { delta } of eventsIn(text)) {
        if (!isObject(delta)) continue
        thinking += typeof delta.thinking === 'string' ? delta.thinking : ''
        signature += typeof delta.signature === 'string' ? delta.signature : ''
      }
    else ({ thinking, signature } = JSON.parse(text).content[0])
    assert.equal(thinking, `about ${address}`)
    assert.notEqual(signature, 'c2ln')
    const turn = {
      role: 'assistant',
      content: [
        { type: 'thinking', thinking, signature },
        { type: 'text', text: 'ok' },
      ],
    }
    const messages = [first, turn, { role: 'user', content: 'Go on' }]
    const again = await post(`${router.url}/v1/messages`, { model: 'm', max_tokens: 10, messages })
    assert.equal(again.status, 200, again.text)
    const body = JSON.parse(upstream.requests.at(-1)?.raw.toString() ?? '')
    assert.match(body.messages[1].content[0].thinking, /^about email_\w{8}$/)
    assert.equal(body.messages[1].content[0].signature, 'c2ln')
  }
})

test('token log probabilities are removed and reported', async () => {
  const upstream = await startUpstream({
    kind: 'reply',
    body: {
      id: 'x',
      object: 'chat.completion',
      created: 1,
      model: 'up',
      choices: [
        {
          index: 0,
          message: { role: 'assistant', content: 'Hi' },
          logprobs: { content: [{ token: 'Hi', logprob: -0.1, bytes: null, top_logprobs: [] }] },
          finish_reason: 'stop',
        },
      ],
      usage: { prompt_tokens: 1, completion_tokens: 1, total_tokens: 2 },
    },
  })
  open.push(upstream)
  const router = await routerWith([{ type: 'masking' }], { upstream: upstream.url })
  const answer = await post(`${router.url}/v1/chat/completions`, chat(address, { logprobs: true }))
  assert.equal(JSON.parse(answer.text).choices[0].logprobs, null)
  assert.match(answer.headers.get('x-llm-router-lost') ?? '', /logprobs/)
})

test('a response without log probabilities does not report any as removed', async () => {
  const router = await routerWith([{ type: 'masking' }])
  const answer = await post(`${router.url}/v1/responses`, { model: 'm', input: address })
  assert.deepEqual(JSON.parse(answer.text).output[0].content[0].logprobs, [])
  assert.equal(answer.headers.get('x-llm-router-lost'), null)
})

test('values are restored in responses of other operations', async () => {
  const upstream = await startUpstream(({ url, body }) => {
    const documents = isObject(body) && Array.isArray(body.documents) ? body.documents : []
    if (url.includes('rerank'))
      return {
        kind: 'reply',
        body: { results: documents.map((text, index) => ({ index, document: { text } })) },
      }
    const events = [...lastPiece(body)].map(
      (content) => `data: ${JSON.stringify({ content, stop: false })}\n\n`,
    )
    return { kind: 'stream', pieces: [...events, 'data: {"content":"","stop":true}\n\n'] }
  })
  open.push(upstream)
  const router = await startRouter({
    models: {
      processors: [{ type: 'masking' }],
      g: { m: { providers: [{ api_type: 'llamacpp', api_host: upstream.url }] } },
      active_models: { g: ['m'] },
    },
  })
  open.push(router)
  const ranked = await post(`${router.url}/v1/rerank`, {
    model: 'm',
    query: 'x',
    documents: [address, 'none'],
  })
  assert.equal(JSON.parse(ranked.text).results[0].document.text, address, ranked.text)
  const filled = await post(`${router.url}/infill`, {
    model: 'm',
    input_prefix: address,
    input_suffix: '',
    stream: true,
  })
  const text = eventsIn(filled.text).map(({ content }) => content)
  assert.equal(text.join(''), address, filled.text)
  for (const { raw } of upstream.requests) assert.equal(raw.includes(address), false)
})

function lastPiece(body: unknown): string {
  return isObject(body) && typeof body.input_prefix === 'string' ? body.input_prefix : ''
}

test('a stream that is cut off returns the text held back, then an error and no clean end', async () => {
  const begun = (text: string): string =>
    `data: ${JSON.stringify({ id: 'x', object: 'chat.completion.chunk', created: 1, model: 'up', choices: [{ index: 0, delta: { content: text }, finish_reason: null }] })}\n\n`
  const upstream = await startUpstream(() => ({ kind: 'stream', pieces: [begun('See E')], ending: 'cut' }))
  open.push(upstream)
  const router = await routerWith([{ type: 'masking' }], { upstream: upstream.url })
  const { text } = await post(`${router.url}/v1/chat/completions`, chat(address, { stream: true }))
  const events = eventsIn(text)
  const said = events.flatMap(({ choices }) =>
    Array.isArray(choices) ? choices.map(({ delta }) => delta.content) : [],
  )
  assert.equal(said.join(''), 'See E')
  assert.ok('error' in (events.at(-1) ?? {}))
  assert.doesNotMatch(text, /\[DONE\]/)
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
    const before = echo.requests.length
    const closed = await routerWith([processor])
    const refused = await post(`${closed.url}/v1/chat/completions`, chat('Hi'))
    assert.deepEqual([refused.status, JSON.parse(refused.text).error.code], [503, 'processor_failed'])
    assert.equal(echo.requests.length, before)
    const lenient = await routerWith([{ ...processor, failure: 'open' }])
    assert.equal((await post(`${lenient.url}/v1/chat/completions`, chat('Hi'))).status, 200)
    await lenient.logged(({ msg }) => msg === 'processor failed; the request passes')
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
