import assert from 'node:assert/strict'
import { test } from 'node:test'
import { seededRandom } from '../../../bench/support/seeded-random.ts'
import { JsonWriting } from '../../../src/processors/masking/json-writing.ts'
import { masked } from '../../../src/processors/masking/masking.ts'
import { MaskingRules } from '../../../src/processors/masking/masking-rules.ts'
import { Pseudonyms } from '../../../src/processors/masking/pseudonyms.ts'
import { Dictionary, maxSpellingLength, TextRestorer } from '../../../src/processors/masking/restorer.ts'

const rules = new MaskingRules({
  off: [],
  words: { PROJECT: ['Projekt Sokół'] },
  expressions: { STAFF: ['E-[0-9]{5}'] },
  phoneCountries: ['PL', 'US', 'GB'],
})
const plan = { rules, services: [], system: true, restores: true }
const key = Buffer.alloc(32, 7)

/** What the texts consist of: values, strings that resemble pseudonyms, and what surrounds both. */
const pieces = [
  'jan@firma.pl',
  'Jan@Firma.pl',
  'ja\u200bn@x.pl',
  '𝒋an@x.pl',
  '+48 600 700 800',
  '600700801',
  '５００５００５００',
  'PL61109010140000071219812874',
  '4111 1111 1111 1111',
  '44051401359',
  'ABA300000',
  'ur. 12.03.1985',
  '192.168.1.20',
  '2001:db8::1',
  'aa:bb:cc:dd:ee:ff',
  'https://u:p@h.pl/x',
  'sk-abcdefghijklmnopqrstuvwx',
  'E-12345',
  'projekt sokół',
  'EMAIL_k7m3q9x2',
  'email\\_k7m3q9x2',
  '%45MAIL_k7m3q9x2',
  '\\u0045MAIL_k7m3q9x2',
  'k7m3q9x2@masked.invalid',
  'https://k7m3q9x2.masked.invalid/',
  '+99912345678901',
  'EMAIL&#95;k7m3q9x2',
  '<',
  '>',
  '"',
  "'",
  '\\n',
  '\\',
  '_',
  '__',
  '&lt;',
  '&',
  '%',
  '%20',
  ' ',
  '  ',
  '\n',
  '.',
  ',',
  '(',
  ')',
  'x',
  '9',
  'e',
  'EMAIL_',
  'EMAIL',
  'ą\u0301',
  'ł',
  '\u200b',
  '邮箱',
  '🙂',
  '+999',
  'masked.invalid',
  '@',
  ':',
]

test('10,000 random texts, split at random in both directions, are restored exactly', {
  timeout: 100_000,
}, async () => {
  const random = seededRandom(20260)
  const any = (): string => pieces[Math.floor(random() * pieces.length)] ?? ''
  for (let round = 0; round < 10_000; round++) {
    const text = Array.from({ length: 1 + Math.floor(random() * 8) }, any).join('')
    const pseudonyms = new Pseudonyms(key, () => (round % 2 === 0 ? 'word' : 'shaped'))
    const cut = Math.floor(random() * text.length)
    const parts = [text.slice(0, cut), text.slice(cut)].map((part) => ({
      text: part,
      run: 1,
      isSystem: false,
      path: '',
    }))
    const changed = await masked(parts, plan, pseudonyms, AbortSignal.timeout(60_000))
    const restorer = new TextRestorer(new Dictionary(pseudonyms.entries()))
    let restored = ''
    const all = changed.texts.join('')
    for (let at = 0; at < all.length; ) {
      const length = 1 + Math.floor(random() * 6)
      restored += restorer.push(all.slice(at, at + length))
      at += length
    }
    restored += restorer.flush()
    assert.equal(restored, text, JSON.stringify({ all }))
  }
})

const value = 'Jan "J" Kowalski\\\n'
const dictionary = new Dictionary([
  ['EMAIL_k7m3q9x2', value],
  ['EMAIL_k7m3q9x2bcdf', 'another'],
  ['k7m3q9x2@masked.invalid', 'shaped'],
])

function escapedAs(write: (code: number) => string): string {
  return [...'EMAIL_k7m3q9x2'].map((character) => write(character.charCodeAt(0))).join('')
}

const spellings: readonly [string, string][] = [
  ['EMAIL_k7m3q9x2', value],
  ['email_K7M3Q9X2', value],
  ['EMAIL\\_k7m3q9x2', value],
  ['EMAIL\\\\_k7m3q9x2', value],
  ['EMAIL&lowbar;k7m3q9x2', value],
  ['EMAIL%5Fk7m3q9x2', value],
  [escapedAs((code) => `\\u${code.toString(16).padStart(4, '0')}`), value],
  [escapedAs((code) => `%${code.toString(16)}`), value],
  [escapedAs((code) => `&#${code};`), value],
  [escapedAs((code) => `&#x${code.toString(16)};`), value],
  ['EMAIL_k7m3q9x2bcdf', 'another'],
  ['k7m3q9x2@masked.invalid', 'shaped'],
]
const surroundings: readonly [string, string][] = [
  ['', ''],
  ['to ', ' now'],
  ['[', ']'],
  ['"', '"'],
  ['**', '**'],
  ['__', '__'],
  ['(', ')em'],
  ['x\\n', ''],
  ['%20', '%20'],
  ['', 'ami'],
]

test('a value split between two parts is masked like an unsplit one', async () => {
  const { signal } = new AbortController()
  const masks = async (texts: readonly string[]): Promise<string> => {
    const items = texts.map((text) => ({ text, run: 1, isSystem: false, path: '' }))
    const { texts: found } = await masked(items, plan, new Pseudonyms(key, () => 'word'), signal)
    return found.join('')
  }
  for (const value of [
    'jan.kowalski@firma.pl',
    'PL61109010140000071219812874',
    '4111 1111 1111 1111',
    '44051401359',
    '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',
    'https://u:haslO@h.pl/Xa',
    '192.168.1.20',
  ]) {
    const whole = await masks([`a ${value} b`])
    assert.match(whole, /^a [A-Z]+_\w{8} b$/)
    for (let cut = 1; cut < value.length; cut++)
      assert.equal(await masks([`a ${value.slice(0, cut)}`, `${value.slice(cut)} b`]), whole)
  }
})

test('each spelling of a pseudonym is recognized wherever it is split', () => {
  for (const [spelling, expected] of spellings)
    for (const [before, after] of surroundings) {
      const text = before + spelling + after
      for (let first = 0; first <= text.length; first++) {
        const restorer = new TextRestorer(dictionary)
        const out = restorer.push(text.slice(0, first)) + restorer.push(text.slice(first)) + restorer.flush()
        assert.equal(out, before + expected + after, `${text} split at ${first}`)
      }
      const restorer = new TextRestorer(dictionary)
      const byOne = [...text].map((character) => restorer.push(character)).join('') + restorer.flush()
      assert.equal(byOne, before + expected + after)
    }
})

test('text that is no pseudonym is kept and not held back', () => {
  for (const text of ['xEMAIL_k7m3q9x2', 'EMAIL_k7m3q9x3', 'my_EMAIL_k7m3q9x2', 'EMAIL k7m3q9x2', 'EMAIL_']) {
    const restorer = new TextRestorer(dictionary)
    assert.equal(restorer.push(text) + restorer.flush(), text)
  }
  const restorer = new TextRestorer(dictionary)
  assert.equal(restorer.push('Every email says: '), 'Every email says: ')
  assert.equal(restorer.push('EMAI'), '')
  assert.equal(restorer.push('N'), 'EMAIN')
  assert.equal(restorer.isHolding, false)
})

test('at most the longest spelling is held back', () => {
  const restorer = new TextRestorer(dictionary)
  const long = `\\u0045`.repeat(200)
  let out = ''
  for (const character of long) {
    out += restorer.push(character)
    assert.ok(long.indexOf(out) === 0)
  }
  assert.ok(long.length - out.length <= maxSpellingLength)
})

test('arguments remain valid JSON wherever they are split, at each level', () => {
  const pseudonym = 'EMAIL_k7m3q9x2'
  for (const [json, expected] of [
    [{ to: pseudonym }, { to: value }],
    [{ a: [`x ${pseudonym}y`, { b: `"${pseudonym}"` }] }, { a: [`x ${value}y`, { b: `"${value}"` }] }],
    [{ inner: JSON.stringify({ to: pseudonym }) }, { inner: JSON.stringify({ to: value }) }],
  ] as const) {
    const text = JSON.stringify(json)
    for (let cut = 0; cut <= text.length; cut++) {
      const restorer = new TextRestorer(dictionary, new JsonWriting())
      const out = restorer.push(text.slice(0, cut)) + restorer.push(text.slice(cut)) + restorer.flush()
      assert.deepEqual(JSON.parse(out), expected, `${text} split at ${cut}`)
    }
  }
  const bare = new TextRestorer(dictionary, new JsonWriting())
  assert.deepEqual(JSON.parse(bare.push(`{"to":${pseudonym}}`) + bare.flush()), { to: value })
})

test('a value has one pseudonym per client, and another for other clients and spellings', () => {
  const one = new Pseudonyms(key, () => 'word')
  const again = new Pseudonyms(key, () => 'word')
  const other = new Pseudonyms(Buffer.alloc(32, 8), () => 'word')
  const first = one.of('EMAIL', 'jan@x.pl', 'jan@x.pl')
  assert.match(first, /^EMAIL_[2-9b-df-hj-km-np-tv-z]{8}$/)
  assert.equal(again.of('EMAIL', 'JAN@x.pl', 'jan@x.pl'), first)
  assert.notEqual(other.of('EMAIL', 'jan@x.pl', 'jan@x.pl'), first)
  assert.match(one.of('EMAIL', 'JAN@x.pl', 'jan@x.pl'), /^EMAIL_[2-9b-df-hj-km-np-tv-z]{12}$/)
  assert.notEqual(one.of('LITERAL', 'jan@x.pl', 'jan@x.pl').slice(8), first.slice(6))
})
