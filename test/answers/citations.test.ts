import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { ask, type Json, startRig } from '../helpers/dialect-clients.ts'
import { geminiAnswer, geminiStream } from '../helpers/gemini-answers.ts'
import { post } from '../helpers/http.ts'
import {
  type Behaviour,
  openaiChunk,
  openaiDone,
  openaiText,
  upstreamModel,
} from '../helpers/scripted-upstream.ts'

let rig: Awaited<ReturnType<typeof startRig>>

before(async () => {
  rig = await startRig(openaiText('unused'))
})
after(() => rig.close())

/** Two bytes of UTF-8 for each of the first letters, and an emoji of two code units. */
const text = 'żółw 🐢 walks. Then it sleeps.'
const source = { url: 'https://example.org/turtle', title: 'Turtles' }
const range = { start_index: 0, end_index: text.indexOf(' Then') }
const annotation = { type: 'url_citation', url_citation: { ...source, ...range } }

const segment = { endIndex: Buffer.byteLength(text.slice(0, range.end_index)) }
const groundingMetadata = {
  webSearchQueries: ['turtle'],
  groundingChunks: [{ web: { uri: source.url, title: source.title } }],
  groundingSupports: [{ segment, groundingChunkIndices: [0] }],
}

const [first, second] = [text.slice(0, range.end_index), text.slice(range.end_index)]
const citation = {
  type: 'web_search_result_location',
  ...source,
  encrypted_index: 'E',
  cited_text: 'Turtles walk',
}

function anthropic(content: object[]): Behaviour {
  const body = { id: 'msg_1', type: 'message', role: 'assistant', model: upstreamModel, content }
  const usage = { input_tokens: 9, output_tokens: 3 }
  return { kind: 'reply', body: { ...body, stop_reason: 'end_turn', stop_sequence: null, usage } }
}

function anthropicStream(): Behaviour {
  const event = (data: { type: string }) => `event: ${data.type}\ndata: ${JSON.stringify(data)}\n\n`
  const block = (index: number, start: object, deltas: object[]) => [
    { type: 'content_block_start', index, content_block: { type: 'text', text: '', ...start } },
    ...deltas.map((delta) => ({ type: 'content_block_delta', index, delta })),
    { type: 'content_block_stop', index },
  ]
  const message = {
    id: 'msg_1',
    type: 'message',
    role: 'assistant',
    content: [],
    model: upstreamModel,
  }
  const events = [
    { type: 'message_start', message: { ...message, usage: { input_tokens: 9, output_tokens: 1 } } },
    ...block(0, { citations: [] }, [
      { type: 'citations_delta', citation },
      { type: 'text_delta', text: first },
    ]),
    ...block(1, {}, [{ type: 'text_delta', text: second }]),
    { type: 'message_delta', delta: { stop_reason: 'end_turn' }, usage: { output_tokens: 3 } },
    { type: 'message_stop' },
  ]
  return { kind: 'stream', pieces: events.map(event) }
}

function openai(): Behaviour {
  const { body } = openaiText(text) as { body: Json }
  const [choice] = body.choices
  const message = { ...choice.message, annotations: [annotation] }
  return { kind: 'reply', body: { ...body, choices: [{ ...choice, message }] } }
}

const whole: [type: string, answer: Behaviour][] = [
  ['gemini', geminiAnswer([{ text }], { groundingMetadata })],
  [
    'anthropic',
    anthropic([
      { type: 'text', text: first, citations: [citation] },
      { type: 'text', text: second },
    ]),
  ],
  ['chatonly', openai()],
]
const streamed: [type: string, answer: Behaviour][] = [
  ['gemini', geminiStream([{ text: first }, { text: second }], { groundingMetadata })],
  ['anthropic', anthropicStream()],
  [
    'chatonly',
    {
      kind: 'stream',
      pieces: [
        openaiChunk({ role: 'assistant', content: text }),
        openaiChunk({ annotations: [annotation] }),
        openaiChunk({}, 'stop'),
        openaiDone,
      ],
    },
  ],
]

describe('sources that a response cites', () => {
  test('are annotations of the same range for clients of chat completions', async () => {
    for (const [type, answer] of whole.filter(([each]) => each !== 'chatonly')) {
      rig.upstream.rescript(answer)
      const { json, lost } = await ask(rig, 'openai', type)
      assert.deepEqual(json.choices[0].message.annotations, [annotation], type)
      assert.equal(json.choices[0].message.content, text)
      assert.equal(lost, '')
    }
    for (const [type, answer] of streamed.filter(([each]) => each !== 'chatonly')) {
      rig.upstream.rescript(answer)
      const { events } = await ask(rig, 'openai', type, { stream: true })
      const sent = events.flatMap(({ choices }) => choices[0]?.delta.annotations ?? [])
      assert.deepEqual(sent, [annotation], type)
    }
  })

  test('are annotations of the same range for clients of the Responses API', async () => {
    const expected = { type: 'url_citation', ...source, ...range }
    for (const [type, answer] of whole) {
      rig.upstream.rescript(answer)
      const { json } = await ask(rig, 'responses', type)
      assert.deepEqual(json.output[0].content[0].annotations, [expected], type)
    }
    for (const [type, answer] of streamed) {
      rig.upstream.rescript(answer)
      const { events } = await ask(rig, 'responses', type, { stream: true })
      const added = events.filter((event) => event.type === 'response.output_text.annotation.added')
      assert.deepEqual(
        added.map((event) => [event.annotation_index, event.annotation]),
        [[0, expected]],
        type,
      )
      assert.deepEqual(events.at(-1).response.output[0].content[0].annotations, [expected], type)
    }
  })

  test('are grounding metadata in bytes for clients of Gemini', async () => {
    const support = { segment: { startIndex: 0, ...segment, text: first }, groundingChunkIndices: [0] }
    for (const [answers, verb] of [
      [whole, 'generateContent'],
      [streamed, 'streamGenerateContent?alt=sse'],
    ] as const)
      for (const [type, answer] of answers.filter(([each]) => each !== 'gemini')) {
        rig.upstream.rescript(answer)
        const contents = [{ role: 'user', parts: [{ text: 'hi' }] }]
        const sent = await post(`${rig.router.url}/v1beta/models/${type}:${verb}`, { contents })
        const [, json = sent.text] = /data: (.*groundingChunks.*)/.exec(sent.text) ?? []
        const metadata = JSON.parse(json).candidates[0].groundingMetadata
        assert.deepEqual(metadata.groundingChunks, groundingMetadata.groundingChunks, type)
        assert.deepEqual(metadata.groundingSupports, [support], type)
      }
  })

  test('are reported where the dialect of the client cannot carry them', async () => {
    rig.upstream.rescript(openai())
    for (const dialect of ['anthropic', 'ollama'] as const)
      assert.equal((await ask(rig, dialect, 'vllm')).lost, 'response.citations')
    // A document of the request has no address.
    const place = { type: 'char_location', document_index: 0, start_char_index: 0, end_char_index: 1 }
    rig.upstream.rescript(anthropic([{ type: 'text', text, citations: [{ ...place, cited_text: 'x' }] }]))
    for (const dialect of ['openai', 'responses'] as const)
      assert.equal((await ask(rig, dialect, 'anthropic')).lost, 'response.citations')
  })
})

test('a source of an earlier item of a stream, which has been sent, is added to that item', async () => {
  const image = { inlineData: { mimeType: 'image/png', data: 'iVBORw0KGgo=' } }
  rig.upstream.rescript(geminiStream([{ text: first }, image, { text: second }], { groundingMetadata }))
  const { events } = await ask(rig, 'responses', 'gemini', { stream: true })
  const [early, , late] = events.at(-1).response.output
  assert.deepEqual([early.content[0].text, late.content[0].text], [first, second])
  const expected = { type: 'url_citation', ...source, ...range }
  assert.deepEqual(early.content[0].annotations, [expected])
  assert.deepEqual(late.content[0].annotations, [])
  const [added] = events.filter((event) => event.type === 'response.output_text.annotation.added')
  assert.deepEqual(
    [added.output_index, added.item_id, added.content_index, added.annotation],
    [0, early.id, 0, expected],
  )
})

test('sources that Gemini names after a call are annotations of the text before it', async () => {
  const call = { functionCall: { name: 'f', args: {} } }
  const expected = { type: 'url_citation', ...source, ...range }
  for (const [stream, answer] of [
    [false, geminiAnswer([{ text }, call], { groundingMetadata })],
    [true, geminiStream([{ text: first }, { text: second }, call], { groundingMetadata })],
  ] as const) {
    rig.upstream.rescript(answer)
    const { json, events } = await ask(rig, 'responses', 'gemini', { stream })
    const { output } = stream ? events.at(-1).response : json
    assert.deepEqual(
      output.map(({ type }: Json) => type),
      ['message', 'function_call'],
    )
    assert.deepEqual(output[0].content[0].annotations, [expected])
  }
})

test('sources of texts around a call are annotations and supports of the text that they belong to', async () => {
  const use = { type: 'tool_use', id: 'toolu_1', name: 'f', input: {} }
  rig.upstream.rescript(
    anthropic([{ type: 'text', text: first }, use, { type: 'text', text: second, citations: [citation] }]),
  )
  const { json } = await ask(rig, 'responses', 'anthropic')
  const [early, , late] = json.output
  assert.deepEqual(early.content[0].annotations, [])
  const [annotated] = late.content[0].annotations
  assert.deepEqual([annotated.start_index, annotated.end_index], [0, second.length])
  const contents = [{ role: 'user', parts: [{ text: 'hi' }] }]
  const sent = await post(`${rig.router.url}/v1beta/models/anthropic:generateContent`, { contents })
  const [support] = JSON.parse(sent.text).candidates[0].groundingMetadata.groundingSupports
  assert.deepEqual(support.segment, {
    partIndex: 2,
    startIndex: 0,
    endIndex: Buffer.byteLength(second),
    text: second,
  })
})

test('images, texts and calls reach clients of the Responses API in their order, whole and streamed', async () => {
  const image = { inlineData: { mimeType: 'image/png', data: 'iVBORw0KGgo=' } }
  const call = { functionCall: { name: 'f', args: {} } }
  const parts = [{ text: first }, image, { text: second }, call, image]
  for (const [stream, answer] of [
    [false, geminiAnswer(parts)],
    [true, geminiStream(parts)],
  ] as const) {
    rig.upstream.rescript(answer)
    const { json, events } = await ask(rig, 'responses', 'gemini', { stream })
    const { output } = stream ? events.at(-1).response : json
    assert.deepEqual(
      output.map(({ type, content }: Json) => content?.[0].text ?? type),
      [first, 'image_generation_call', second, 'function_call', 'image_generation_call'],
    )
  }
})

describe('an image that the model generated', () => {
  const data = 'iVBORw0KGgo='
  const parts = [{ text: 'Here' }, { inlineData: { mimeType: 'image/png', data } }]

  test('is an item for clients of the Responses API', async () => {
    rig.upstream.rescript(geminiAnswer(parts))
    const { json } = await ask(rig, 'responses', 'gemini')
    const items = json.output.map(({ type, status, result }: Json) => [type, status, result])
    const expected = [
      ['message', 'completed', undefined],
      ['image_generation_call', 'completed', data],
    ]
    assert.deepEqual(items, expected)
    rig.upstream.rescript(geminiStream(parts))
    const { events } = await ask(rig, 'responses', 'gemini', { stream: true })
    const done = events.filter((event) => event.type === 'response.output_item.done')
    assert.deepEqual(
      done.map(({ item }) => [item.type, item.status, item.result]),
      expected,
    )
    assert.deepEqual(
      events.at(-1).response.output,
      done.map(({ item }) => item),
    )
    assert.deepEqual(
      events.map((event) => event.sequence_number),
      [...events.keys()],
    )
  })

  test('of a gateway with a member for it reaches clients of Gemini and of the Responses API', async () => {
    const images = [{ type: 'image_url', image_url: { url: `data:image/png;base64,${data}` } }]
    const { body } = openaiText('Here') as { body: Json }
    const [choice] = body.choices
    const message = { ...choice.message, images }
    const answers: [stream: boolean, answer: Behaviour][] = [
      [false, { kind: 'reply', body: { ...body, choices: [{ ...choice, message }] } }],
      [true, { kind: 'stream', pieces: [openaiChunk({ images }), openaiChunk({}, 'stop'), openaiDone] }],
    ]
    for (const [stream, answer] of answers) {
      rig.upstream.rescript(answer)
      const { json, events } = await ask(rig, 'responses', 'chatonly', { stream })
      const { output } = stream ? events.at(-1).response : json
      assert.deepEqual([output.at(-1).type, output.at(-1).result], ['image_generation_call', data])
      const verb = stream ? 'streamGenerateContent?alt=sse' : 'generateContent'
      const contents = [{ role: 'user', parts: [{ text: 'hi' }] }]
      const sent = await post(`${rig.router.url}/v1beta/models/chatonly:${verb}`, { contents })
      assert.ok(sent.text.includes(JSON.stringify({ inlineData: { mimeType: 'image/png', data } })))
    }
  })

  test('is reported where the dialect of the client cannot carry it, and so is audio', async () => {
    rig.upstream.rescript(geminiAnswer(parts))
    for (const dialect of ['openai', 'anthropic', 'ollama'] as const) {
      const { lost, text: body } = await ask(rig, dialect, 'gemini')
      assert.equal(lost, 'response.images')
      assert.match(body, /Here/)
    }
    rig.upstream.rescript(geminiAnswer([{ inlineData: { mimeType: 'audio/L16;rate=24000', data: 'AAAA' } }]))
    for (const dialect of ['openai', 'responses'] as const)
      assert.equal((await ask(rig, dialect, 'gemini')).lost, 'response.audio')
  })
})
