import assert from 'node:assert/strict'
import { afterEach, test } from 'node:test'
import { eventsIn } from '../helpers/events-in.ts'
import { post } from '../helpers/http.ts'
import type { Behaviour } from '../helpers/scripted-upstream.ts'
import {
  address,
  at,
  before,
  characters,
  citingRouter,
  numbers,
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

const chatBody = { model: 'm', messages: [{ role: 'user', content: address }] }

function chatAnswer(text: string, offsets: readonly [number, number], isStream: boolean): Behaviour {
  const [start_index, end_index] = offsets
  const annotations = [
    {
      type: 'url_citation',
      url_citation: { start_index, end_index, url: 'https://example.com', title: 'T' },
    },
  ]
  const usage = { prompt_tokens: 1, completion_tokens: 1, total_tokens: 2 }
  const answer = (object: string, choice: object) => ({
    id: 'x',
    object,
    created: 1,
    model: 'up',
    choices: [{ index: 0, ...choice }],
  })
  if (!isStream) {
    const message = { role: 'assistant', content: text, annotations }
    return {
      kind: 'reply',
      body: { ...answer('chat.completion', { message, finish_reason: 'stop' }), usage },
    }
  }
  const chunk = (delta: object, finish_reason: string | null = null) =>
    answer('chat.completion.chunk', { delta, finish_reason })
  const pieces = characters(text).map((content) => chunk({ content }))
  return stream([...pieces, chunk({ annotations }), chunk({}, 'stop')])
}

function chatAnswerIn(raw: string, isStream: boolean): { text: string; citation: unknown } {
  if (!isStream) {
    const message = at(JSON.parse(raw), 'choices', 0, 'message')
    return {
      text: String(at(message, 'content')),
      citation: at(message, 'annotations', 0, 'url_citation'),
    }
  }
  const deltas = eventsIn(raw).map((event) => at(event, 'choices', 0, 'delta'))
  const text = deltas.map((delta) => at(delta, 'content') ?? '').join('')
  const [citation] = deltas.flatMap((delta) => at(delta, 'annotations', 0, 'url_citation') ?? [])
  return { text, citation }
}

for (const isStream of [false, true]) {
  const how = isStream ? 'streamed' : 'whole'
  for (const unit of ['code_points', 'utf16'] as const)
    test(`annotations of chats keep pointing at their text when values are restored, ${unit}, ${how}`, async () => {
      const router = await routerTo({
        type: 'openai',
        answer(found) {
          const text = `${before}${found} i ${found}, ${quoted}.`
          return chatAnswer(text, range(text, quoted, unit), isStream)
        },
      })
      const { text: raw } = await post(`${router.url}/v1/chat/completions`, { ...chatBody, stream: isStream })
      const { text, citation } = chatAnswerIn(raw, isStream)
      assert.equal(text, `${before}${address} i ${address}, ${quoted}.`)
      assert.equal(slice(text, numbers(citation, ['start_index', 'end_index']), unit), quoted)
    })

  test(`annotations keep pointing at their text when a guardrail replaces words around unmasking, ${how}`, async () => {
    const replace = { type: 'guardrail', on: 'response', action: 'replace' }
    const router = await routerTo({
      type: 'openai',
      processors: [
        { ...replace, name: 'early', before: 'unmasking', words: ['Grüße'], replacement: 'X' },
        { type: 'masking' },
        { ...replace, name: 'late', words: ['pisz'], replacement: 'schreib – an' },
      ],
      answer(found) {
        const text = `${before}${found}. Und ${quoted}. Ende.`
        return chatAnswer(text, range(text, quoted, 'code_points'), isStream)
      },
    })
    const { text: raw } = await post(`${router.url}/v1/chat/completions`, { ...chatBody, stream: isStream })
    const { text, citation } = chatAnswerIn(raw, isStream)
    assert.equal(text, `X 🎉 – schreib – an: ${address}. Und ${quoted}. Ende.`)
    assert.equal(slice(text, numbers(citation, ['start_index', 'end_index']), 'code_points'), quoted)
  })

  test(`an annotation of replaced words loses its offsets, ${how}`, async () => {
    const router = await routerTo({
      type: 'openai',
      processors: [
        { type: 'guardrail', on: 'response', action: 'replace', words: ['żółta'], replacement: 'rote' },
      ],
      answer() {
        const text = `${before}${quoted}. Ende.`
        return chatAnswer(text, range(text, 'ółta 🐢', 'code_points'), isStream)
      },
    })
    const { text: raw } = await post(`${router.url}/v1/chat/completions`, { ...chatBody, stream: isStream })
    const { text, citation } = chatAnswerIn(raw, isStream)
    assert.equal(text, `${before}rote 🐢 łódź. Ende.`)
    assert.deepEqual(citation, { url: 'https://example.com', title: 'T' })
  })
}
