import assert from 'node:assert/strict'
import { test } from 'node:test'
import { isObject, objectsIn } from '../../../src/lib/json/read.ts'
import { post } from '../../helpers/http.ts'
import { startRouter } from '../../helpers/router.ts'
import { askIn } from '../dialect-players.ts'
import { lastText, startEcho } from '../echo-upstream.ts'
import { address, chat, maskingRig } from './rig.ts'

const rig = maskingRig()
const { open, routerWith, sent } = rig

const pseudonym = /[A-Z]{2,7}_[2-9b-df-hj-km-np-tv-z]{8}/

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

test('an image in the form of chat completions is forwarded for a Responses client', async () => {
  const router = await routerWith([{ type: 'masking', media: 'pass' }])
  const image = { type: 'image_url', image_url: { url: 'data:image/png;base64,iVBORw0KGgo=' } }
  const input = [{ role: 'user', content: [{ type: 'input_text', text: address }, image] }]
  const { status, text } = await post(`${router.url}/v1/responses`, { model: 'm', input })
  assert.equal(status, 200, text)
  const raw = sent().raw.toString()
  assert.ok(raw.includes('iVBORw0KGgo=') && !raw.includes(address), raw)
})

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
