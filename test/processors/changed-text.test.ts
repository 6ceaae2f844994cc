import assert from 'node:assert/strict'
import { test } from 'node:test'
import { seededRandom } from '../../bench/support/seeded-random.ts'
import { responsesContents } from '../../src/dialects/responses/contents/index.ts'
import { isObject } from '../../src/lib/json/read.ts'
import { ChangedText, type OffsetUnit } from '../../src/processors/answers/changed-text.ts'
import { EventFraming } from '../../src/processors/answers/framing.ts'
import { type RestoringOptions, restoredBody } from '../../src/processors/answers/restoring.ts'
import { StreamRestoring } from '../../src/processors/answers/stream-restoring.ts'
import { Dictionary } from '../../src/processors/masking/restorer.ts'
import { eventsIn } from '../helpers/events-in.ts'

const pieces = ['a', 'ż', 'ß', '–', '🎉', '👩‍💻', ' ', 'ó', 'x']
const units: readonly OffsetUnit[] = ['utf8', 'utf16', 'code_points']

function lengthIn(text: string, unit: OffsetUnit): number {
  if (unit === 'utf8') return Buffer.byteLength(text)
  return unit === 'utf16' ? text.length : [...text].length
}

test('offsets follow the text through random changes, in each unit', () => {
  const random = seededRandom(7)
  const some = (most: number): string =>
    Array.from(
      { length: Math.floor(random() * most) },
      () => pieces[Math.floor(random() * pieces.length)],
    ).join('')
  for (let round = 0; round < 2_000; round++) {
    const [before, old, between, old2, after] = [
      some(6),
      `${some(4)}E`,
      `${some(5)}-`,
      `${some(4)}F`,
      some(6),
    ]
    const [now, now2] = [some(8), some(8)]
    const original = before + old + between + old2 + after
    const start = before.length + old.length + between.length
    const text = new ChangedText(original, [
      { start: before.length, end: before.length + old.length, text: now },
      { start, end: start + old2.length, text: now2 },
    ])
    assert.equal(text.text, before + now + between + now2 + after)
    for (const unit of units) {
      const moved = (prefix: string): number | undefined => text.moved(lengthIn(prefix, unit), unit)
      assert.equal(moved(before), lengthIn(before, unit))
      assert.equal(moved(before + old), lengthIn(before + now, unit))
      assert.equal(moved(before + old + between), lengthIn(before + now + between, unit))
      assert.equal(moved(original), lengthIn(text.text, unit))
      assert.equal(text.moved(lengthIn(original, unit) + 1, unit), undefined)
    }
    const { inverse } = text
    assert.equal(inverse.original, text.text)
    assert.equal(inverse.text, original)
    const difference = ChangedText.between(original, text.text)
    assert.equal(difference.text, text.text)
  }
})

test('an offset within a change, within a character or in text still held back is undefined', () => {
  const text = new ChangedText('ż🎉 EMAIL_x end', [{ start: 4, end: 11, text: 'jan@x.pl' }], 12)
  assert.equal(text.moved(5, 'utf16'), undefined)
  assert.equal(text.moved(1, 'utf8'), undefined)
  assert.equal(text.moved(2, 'utf16'), undefined)
  assert.equal(text.moved(13, 'utf16'), undefined)
  assert.equal(text.moved(-1, 'utf16'), undefined)
  assert.equal(text.moved(1.5, 'utf16'), undefined)
  assert.equal(text.moved(11, 'utf16'), 12)
})

const pseudonym = 'EMAIL_k7m3q9x2'
const address = 'jan.żółw@firma.pl'
const options: RestoringOptions = {
  dictionary: new Dictionary([[pseudonym, address]]),
  isStructured: false,
  removesLogprobs: false,
  sealProof: ({ proof }) => proof,
  documentOf: () => undefined,
}
const text = `🎉 ${pseudonym}, see [1].`
const shown = text.replace(pseudonym, address)
const start_index = text.indexOf('[1]')
const annotation = { type: 'url_citation', start_index, end_index: start_index + 3, url: 'x', title: 'y' }
const part = {
  type: 'output_text',
  text,
  annotations: [annotation, { type: 'file_citation', index: start_index }],
}
const item = { type: 'message', id: 'msg_1', role: 'assistant', content: [part] }

function checkAnnotation(found: unknown): void {
  const { start_index: start, end_index: end }: Record<string, unknown> = Object(found)
  assert.equal(shown.slice(Number(start), Number(end)), '[1]')
}

function checkPart(found: unknown): void {
  const { text: words, annotations }: Record<string, unknown> = Object(found)
  assert.equal(words, shown)
  const [first, second]: unknown[] = Array.isArray(annotations) ? annotations : []
  checkAnnotation(first)
  assert.equal(isObject(second) ? second.index : undefined, shown.indexOf('[1]'))
}

test('annotations of Responses follow their text in each event that contains them', () => {
  const { body } = restoredBody(
    Buffer.from(JSON.stringify({ output: [item] })),
    options,
    responsesContents.answers.citations,
  )
  checkPart(JSON.parse(body.toString()).output[0].content[0])

  const restoring = new StreamRestoring(responsesContents.stream, new EventFraming(), options)
  const where = { item_id: 'msg_1', output_index: 0, content_index: 0 }
  const events = [
    ...[...text].map((delta) => ({ type: 'response.output_text.delta', ...where, delta })),
    { type: 'response.output_text.annotation.added', ...where, annotation_index: 0, annotation },
    { type: 'response.content_part.done', ...where, part },
    { type: 'response.output_item.done', output_index: 0, item },
    { type: 'response.completed', response: { output: [item] } },
  ]
  const out = restoring.push(events.map((event) => `data: ${JSON.stringify(event)}\n\n`).join(''))
  const sent = eventsIn(out)
  const [added, partDone, itemDone, completed] = sent.slice(-4)
  checkAnnotation(added.annotation)
  checkPart(partDone.part)
  checkPart(itemDone.item.content[0])
  checkPart(completed.response.output[0].content[0])
  assert.equal(restoring.done.removedOffsets, 0)
})
