import assert from 'node:assert/strict'
import { test } from 'node:test'
import { seededRandom } from '../../bench/support/seeded-random.ts'
import { readers } from '../../src/cli/index-documents/sections.ts'
import { splitText } from '../../src/cli/index-documents/split-text.ts'

test('chunks do not exceed their size, omit no word and overlap', () => {
  const random = seededRandom(7)
  const between = [' ', ' ', ' ', '. ', '\n', '\n\n']
  for (let run = 0; run < 50; run++) {
    const words = Array.from(
      { length: 400 },
      (_word, index) => `w${index}${'x'.repeat(Math.floor(random() * 9))}`,
    )
    const text = words.map((word) => word + between[Math.floor(random() * between.length)]).join('')
    const size = 100 + Math.floor(random() * 300)
    const overlap = Math.floor(random() * 50)
    const chunks = splitText(text, { size, overlap })
    assert.ok(chunks.every((chunk) => chunk.length <= size && chunk !== ''))
    const found = new Set(chunks.flatMap((chunk) => chunk.match(/w\d+x*/g) ?? []))
    assert.deepEqual(
      words.filter((word) => !found.has(word)),
      [],
    )
  }
})

test('a text without white space is split at the chunk size, and no character is split', () => {
  const chunks = splitText('😀'.repeat(500), { size: 101, overlap: 0 })
  assert.equal(chunks.join(''), '😀'.repeat(500))
  assert.ok(chunks.every((chunk) => chunk.length <= 101 && !/[\uD800-\uDBFF]$/.test(chunk)))
})

test('headings of Markdown and HTML are the titles of the sections below them', () => {
  const markdown = readers.md?.('intro\n# A\none\n### B\ntwo\n## C\nthree\n```\n# no\n```')
  assert.deepEqual(
    markdown?.map(({ title, text }) => [title, text.trim()]),
    [
      ['', 'intro'],
      ['A', 'one'],
      ['A > B', 'two'],
      ['A > C', 'three\n```\n# no\n```'],
    ],
  )
  const html = readers.html?.(
    '<title>T</title><style>x</style>a&#322;<br>b<h2 class="x">H &amp; I</h2><p>c</p><p>d</p>',
  )
  assert.deepEqual(
    html?.map(({ title, text }) => [title, text]),
    [
      ['T', 'ał\nb'],
      ['T > H & I', 'c\n\nd'],
    ],
  )
})
