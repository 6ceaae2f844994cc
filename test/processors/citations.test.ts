import assert from 'node:assert/strict'
import { afterEach, test } from 'node:test'
import { objectsIn } from '../../src/lib/json/read.ts'
import { anthropicBlocks } from '../helpers/anthropic-answers.ts'
import { eventsIn } from '../helpers/events-in.ts'
import { post } from '../helpers/http.ts'
import { scrape } from '../helpers/metrics.ts'
import {
  address,
  at,
  before,
  characters,
  citingRouter,
  numbers,
  pseudonym,
  quoted,
  range,
  type Setup,
  slice,
  stream,
} from './citing.ts'

const open: { close(): Promise<void> }[] = []
afterEach(async () => {
  for (const each of open.splice(0).toReversed()) await each.close()
})
const routerTo = (setup: Setup) => citingRouter(setup, open)

const geminiBody = { contents: [{ role: 'user', parts: [{ text: `I am ${address}` }] }] }

for (const isStream of [false, true])
  test(`byte ranges that Gemini cites refer to the client's text, ${isStream ? 'streamed' : 'whole'}`, async () => {
    const router = await routerTo({
      type: 'gemini',
      answer(found) {
        const text = `${before}${found} lub ${found}, ${quoted}.`
        const [startIndex, endIndex] = range(text, quoted, 'utf8')
        const [ofValue, behindValue] = range(text, found, 'utf8')
        const support = (segment: object) => ({ segment, groundingChunkIndices: [0] })
        const more = {
          finishReason: 'STOP',
          groundingMetadata: {
            groundingSupports: [
              support({ partIndex: 0, startIndex, endIndex, text: quoted }),
              support({ endIndex: behindValue, text: before + found }),
              support({ startIndex: ofValue, endIndex: behindValue, text: found }),
              support({ startIndex, endIndex }),
            ],
          },
          citationMetadata: { citationSources: [{ startIndex, endIndex, uri: 'https://example.com' }] },
        }
        const candidate = (parts: unknown[], rest: object) => ({
          candidates: [{ index: 0, content: { role: 'model', parts }, ...rest }],
        })
        if (!isStream) return { kind: 'reply', body: candidate([{ text }], more) }
        const pieces = characters(text).map((piece) => candidate([{ text: piece }], {}))
        return stream([...pieces, candidate([{ text: '' }], more)])
      },
    })
    const method = isStream ? 'streamGenerateContent?alt=sse' : 'generateContent'
    const { text: raw } = await post(`${router.url}/v1beta/models/m:${method}`, geminiBody)
    const answers = isStream ? eventsIn(raw) : [JSON.parse(raw)]
    const shown = answers.map((answer) => at(answer, 'candidates', 0, 'content', 'parts', 0, 'text')).join('')
    assert.equal(shown, `${before}${address} lub ${address}, ${quoted}.`)
    const candidate = at(answers.at(-1), 'candidates', 0)
    const supports = objectsIn(at(candidate, 'groundingMetadata', 'groundingSupports'))
    assert.equal(supports.length, 4)
    for (const { segment } of supports) {
      const { startIndex = 0, endIndex, text = quoted }: Record<string, unknown> = Object(segment)
      assert.equal(slice(shown, [Number(startIndex), Number(endIndex)], 'utf8'), text)
    }
    const [source] = objectsIn(at(candidate, 'citationMetadata', 'citationSources'))
    assert.equal(slice(shown, numbers(source, ['startIndex', 'endIndex']), 'utf8'), quoted)
  })

test('in a stream, a range of a later part is adjusted if it is quoted, and is left out otherwise', async () => {
  const router = await routerTo({
    type: 'gemini',
    answer(found) {
      const text = `${before}${found}, ${quoted}.`
      const [startIndex, endIndex] = range(text, quoted, 'utf8')
      const segments = [
        { partIndex: 1, startIndex, endIndex, text: quoted },
        { partIndex: 1, startIndex, endIndex },
      ]
      const groundingMetadata = { groundingSupports: segments.map((segment) => ({ segment })) }
      const candidate = (parts: unknown[], rest: object) => ({
        candidates: [{ index: 0, content: { role: 'model', parts }, ...rest }],
      })
      return stream([
        candidate([{ text }], {}),
        candidate([{ text: '' }], { finishReason: 'STOP', groundingMetadata }),
      ])
    },
  })
  const { text } = await post(`${router.url}/v1beta/models/m:streamGenerateContent?alt=sse`, geminiBody)
  const candidate = at(eventsIn(text).at(-1), 'candidates', 0)
  const [first, second] = objectsIn(at(candidate, 'groundingMetadata', 'groundingSupports'))
  const shown = `${before}${address}, ${quoted}.`
  assert.equal(slice(shown, numbers(first?.segment, ['startIndex', 'endIndex']), 'utf8'), quoted)
  assert.deepEqual(second?.segment, { partIndex: 1 })
})

test('offsets that cannot be adjusted are left out and counted, and offsets before a value stay', async () => {
  const router = await routerTo({
    type: 'gemini',
    env: { LLM_ROUTER_USE_PROMETHEUS: '1' },
    answer(found) {
      const text = `${before}${found}, ${quoted}.`
      const [startIndex, endIndex] = range(text, quoted, 'utf8')
      const [inValue] = range(text, found, 'utf8')
      const sources = [
        { startIndex: inValue + 3, endIndex },
        { startIndex: 1, endIndex: 4, license: 'x' },
        { startIndex, endIndex: endIndex + 1000 },
      ]
      const wrong = { startIndex: startIndex + 1, endIndex, text: quoted }
      return {
        kind: 'reply',
        body: {
          candidates: [
            {
              content: { role: 'model', parts: [{ text }] },
              finishReason: 'STOP',
              citationMetadata: { citationSources: sources },
              groundingMetadata: { groundingSupports: [{ segment: wrong }] },
            },
          ],
        },
      }
    },
  })
  const { text } = await post(`${router.url}/v1beta/models/m:generateContent`, geminiBody)
  const candidate = at(JSON.parse(text), 'candidates', 0)
  assert.deepEqual(at(candidate, 'citationMetadata', 'citationSources'), [
    {},
    { startIndex: 1, endIndex: 4, license: 'x' },
    {},
  ])
  assert.deepEqual(at(candidate, 'groundingMetadata', 'groundingSupports', 0, 'segment'), { text: quoted })
  const metrics = await scrape(router.url)
  assert.equal(metrics.sum('llm_router_processor_citations_without_offsets_total'), 3)
})

const thoughts = 'Ich denke an '
test('offsets refer to the part after the thoughts, and are left out if the part is ambiguous', async () => {
  let isPlain = true
  const router = await routerTo({
    type: 'gemini',
    answer(found) {
      const text = `${before}${found}, ${quoted}.`
      const [startIndex, endIndex] = range(text, quoted, 'utf8')
      const parts = [
        { text: thoughts + found, thought: true },
        { text },
        ...(isPlain ? [] : [{ text: 'More.' }]),
      ]
      const groundingMetadata = { groundingSupports: [{ segment: { startIndex, endIndex } }] }
      return {
        kind: 'reply',
        body: {
          candidates: [{ content: { role: 'model', parts }, finishReason: 'STOP', groundingMetadata }],
        },
      }
    },
  })
  const ask = async (): Promise<unknown> => {
    const { text } = await post(`${router.url}/v1beta/models/m:generateContent`, geminiBody)
    return at(JSON.parse(text), 'candidates', 0)
  }
  const one = await ask()
  const shown = String(at(one, 'content', 'parts', 1, 'text'))
  const segment = at(one, 'groundingMetadata', 'groundingSupports', 0, 'segment')
  assert.equal(slice(shown, numbers(segment, ['startIndex', 'endIndex']), 'utf8'), quoted)
  isPlain = false
  assert.deepEqual(at(await ask(), 'groundingMetadata', 'groundingSupports', 0, 'segment'), {})
})

const documentText = `Umowa 🎉 z ${address} obejmuje: ${quoted}. Kontakt: ${address}`
const anthropicBody = {
  model: 'm',
  max_tokens: 10,
  messages: [
    {
      role: 'user',
      content: [
        {
          type: 'document',
          source: { type: 'content', content: [{ type: 'text', text: 'Other.' }] },
          citations: { enabled: true },
        },
        {
          type: 'document',
          source: { type: 'text', media_type: 'text/plain', data: documentText },
          citations: { enabled: true },
        },
        { type: 'text', text: 'What does it cover?' },
      ],
    },
  ],
}

for (const unit of ['code_points', 'utf16'] as const)
  for (const isStream of [false, true])
    test(`Anthropic's citations are ranges of the client's document, ${unit}, ${isStream ? 'streamed' : 'whole'}`, async () => {
      const router = await routerTo({
        type: 'anthropic',
        answer(found, { body }) {
          const text = String(at(body, 'messages', 0, 'content', 1, 'source', 'data'))
          assert.doesNotMatch(text, /@/)
          const citations = [quoted, `z ${found}`, `Kontakt: ${found}`].map((cited_text) => {
            const [start_char_index, end_char_index] = range(text, cited_text, unit)
            const document = { document_index: 1, document_title: null }
            return { type: 'char_location', cited_text, ...document, start_char_index, end_char_index }
          })
          const block = {
            type: 'content_block_location',
            cited_text: 'Other.',
            document_index: 0,
            document_title: null,
            start_block_index: 0,
            end_block_index: 1,
          }
          const message = { id: 'msg_1', type: 'message', role: 'assistant', model: 'up' }
          const usage = { input_tokens: 3, output_tokens: 5 }
          if (!isStream)
            return {
              kind: 'reply',
              body: {
                ...message,
                content: [{ type: 'text', text: `It covers ${found}`, citations: [...citations, block] }],
                stop_reason: 'end_turn',
                stop_sequence: null,
                usage,
              },
            }
          const delta = (of: object) => ({ type: 'content_block_delta', index: 0, delta: of })
          return stream(
            [
              {
                type: 'message_start',
                message: { ...message, content: [], stop_reason: null, stop_sequence: null, usage },
              },
              {
                type: 'content_block_start',
                index: 0,
                content_block: { type: 'text', text: '', citations: [] },
              },
              ...[...citations, block].map((citation) => delta({ type: 'citations_delta', citation })),
              ...characters(`It covers ${found}`).map((piece) => delta({ type: 'text_delta', text: piece })),
              { type: 'content_block_stop', index: 0 },
              {
                type: 'message_delta',
                delta: { stop_reason: 'end_turn', stop_sequence: null },
                usage: { output_tokens: 5 },
              },
              { type: 'message_stop' },
            ],
            true,
          )
        },
      })
      const { text } = await post(`${router.url}/v1/messages`, { ...anthropicBody, stream: isStream })
      const found = isStream
        ? eventsIn(text).flatMap((event) => at(event, 'delta', 'citation') ?? [])
        : objectsIn(at(JSON.parse(text), 'content', 0, 'citations'))
      assert.equal(found.length, 4, text)
      const expected = [quoted, `z ${address}`, `Kontakt: ${address}`]
      for (const [index, words] of expected.entries()) {
        assert.equal(at(found[index], 'cited_text'), words)
        const offsets = numbers(found[index], ['start_char_index', 'end_char_index'])
        assert.equal(slice(documentText, offsets, unit), words)
      }
      assert.equal(at(found[3], 'start_block_index'), 0)
      assert.equal(at(found[3], 'end_block_index'), 1)
    })

test('citations in earlier turns become ranges of the masked document again', async () => {
  let raw = ''
  const router = await routerTo({
    type: 'anthropic',
    answer(_found, request) {
      raw = request.raw.toString()
      return anthropicBlocks([{ type: 'text', text: 'Fine.' }])
    },
  })
  const citation = (cited_text: string) => {
    const [start_char_index, end_char_index] = range(documentText, cited_text, 'code_points')
    return {
      type: 'char_location',
      cited_text,
      document_index: 1,
      document_title: null,
      start_char_index,
      end_char_index,
    }
  }
  const citations = [
    citation(quoted),
    citation(`Kontakt: ${address}`),
    { ...citation('Umowa'), end_char_index: 400 },
    {
      type: 'web_search_result_location',
      url: 'https://example.com',
      title: address,
      cited_text: 'x',
      encrypted_index: '44051401359',
    },
  ]
  const { status, text } = await post(`${router.url}/v1/messages`, {
    ...anthropicBody,
    messages: [
      ...anthropicBody.messages,
      { role: 'assistant', content: [{ type: 'text', text: 'It covers', citations }] },
      { role: 'user', content: 'Sure?' },
    ],
  })
  assert.equal(status, 200, text)
  const sent = JSON.parse(raw)
  const masked = String(at(sent, 'messages', 0, 'content', 1, 'source', 'data'))
  const [first, second, third, searched] = objectsIn(at(sent, 'messages', 1, 'content', 0, 'citations'))
  for (const each of [first, second]) {
    const offsets = numbers(each, ['start_char_index', 'end_char_index'])
    assert.equal(slice(masked, offsets, 'code_points'), each?.cited_text)
  }
  assert.match(String(second?.cited_text), pseudonym)
  assert.equal(third?.end_char_index, 400)
  assert.match(String(searched?.title), pseudonym)
  assert.equal(searched?.encrypted_index, '44051401359')
})

test("citations refer to the client's document if a guardrail replaces words before masking", async () => {
  const router = await routerTo({
    type: 'anthropic',
    processors: [
      { type: 'guardrail', before: 'masking', action: 'replace', words: ['obejmuje'], replacement: 'X' },
      { type: 'masking' },
    ],
    answer(found, { body }) {
      const text = String(at(body, 'messages', 0, 'content', 1, 'source', 'data'))
      const citations = [`z ${found}`, quoted, `Kontakt: ${found}`, `X: ${quoted}`].map((cited_text) => {
        const [start_char_index, end_char_index] = range(text, cited_text, 'code_points')
        const document = { document_index: 1, document_title: null }
        return { type: 'char_location', cited_text, ...document, start_char_index, end_char_index }
      })
      return anthropicBlocks([{ type: 'text', text: 'It covers', citations }])
    },
  })
  const { text } = await post(`${router.url}/v1/messages`, anthropicBody)
  const found = objectsIn(at(JSON.parse(text), 'content', 0, 'citations'))
  for (const [index, words] of [
    `z ${address}`,
    quoted,
    `Kontakt: ${address}`,
    `obejmuje: ${quoted}`,
  ].entries()) {
    const offsets = numbers(found[index], ['start_char_index', 'end_char_index'])
    assert.equal(slice(documentText, offsets, 'code_points'), words)
  }
})

test('a citation whose quote does not match the document loses only its offsets', async () => {
  const router = await routerTo({
    type: 'anthropic',
    answer: (found) => ({
      kind: 'reply',
      body: {
        id: 'msg_1',
        type: 'message',
        role: 'assistant',
        model: 'up',
        content: [
          {
            type: 'text',
            text: found,
            citations: [
              {
                type: 'char_location',
                cited_text: 'elsewhere',
                document_index: 1,
                document_title: 'T',
                start_char_index: 20,
                end_char_index: 29,
              },
            ],
          },
        ],
        stop_reason: 'end_turn',
        stop_sequence: null,
        usage: { input_tokens: 3, output_tokens: 5 },
      },
    }),
  })
  const { text } = await post(`${router.url}/v1/messages`, anthropicBody)
  assert.deepEqual(at(JSON.parse(text), 'content', 0, 'citations'), [
    { type: 'char_location', cited_text: 'elsewhere', document_index: 1, document_title: 'T' },
  ])
})
