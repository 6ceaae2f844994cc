import assert from 'node:assert/strict'
import { test } from 'node:test'
import { EventLoopBudget } from '../../../src/lib/event-loop-budget.ts'
import { MaskingRules } from '../../../src/processors/masking/masking-rules.ts'

const all = { off: [], words: {}, expressions: {}, phoneCountries: ['PL', 'US', 'GB'] }

async function found(text: string, rules = new MaskingRules(all)): Promise<string[]> {
  const matches = await rules.find(text, new EventLoopBudget(), { literals: false })
  return matches.map(({ kind, start, end }) => `${kind} ${text.slice(start, end)}`)
}

const values: readonly [string, string][] = [
  ['EMAIL', 'jan.kowalski+x@poczta.example.pl'],
  ['EMAIL', 'ja\u200bn@example.com'],
  ['EMAIL', '\uff4a\uff41\uff4e@example.com'],
  ['PHONE', '+48 600 700 800'],
  ['PHONE', '600-700-800'],
  ['PHONE', '(415) 555-2671'],
  ['PHONE', '+44 7700 900123'],
  ['IBAN', 'PL61 1090 1014 0000 0712 1981 2874'],
  ['IBAN', '61109010140000071219812874'],
  ['IBAN', 'DE89370400440532013000'],
  ['CARD', '4111 1111 1111 1111'],
  ['CARD', '378282246310005'],
  ['IP', '192.168.1.20'],
  ['IP', '2001:db8::ff00:42:8329'],
  ['MAC', '00:1B:44:11:3A:B7'],
  ['MAC', '001b.4411.3ab7'],
  ['URL', 'postgres://app:hunter2@db.example.com/x'],
  ['URL', 'https://example.com/?access_token=abcdef123456'],
  ['SECRET', 'sk-proj-abcdefghijklmnopqrstuvwx'],
  ['SECRET', 'AKIAIOSFODNN7EXAMPLE'],
  ['SECRET', 'ghp_abcdefghijklmnopqrstuvwxyzABCDEFGHIJ'],
  ['PESEL', '44051401359'],
  ['NIP', '526-10-40-828'],
  ['IDCARD', 'ABA300000'],
]

test('values of each kind are found anywhere in a text', async () => {
  for (const [kind, value] of values)
    for (const [before, after] of [
      ['', ''],
      ['Oto ', '.'],
      ['(', ')'],
      ['"', '",'],
      ['a:\n', '\nb'],
    ] as const)
      assert.deepEqual(await found(before + value + after), [`${kind} ${value}`], before + value + after)
})

test('words next to a value determine its kind', async () => {
  assert.deepEqual(await found('NIP 5261040828'), ['NIP 5261040828'])
  assert.deepEqual(await found('numer 5261040828'), [])
  assert.deepEqual(await found('REGON: 123456785'), ['REGON 123456785'])
  assert.deepEqual(await found('Data urodzenia: 12.03.1985'), ['BIRTH 12.03.1985'])
  assert.deepEqual(await found('I was born on March 12, 1985.'), ['BIRTH March 12, 1985'])
  assert.deepEqual(await found('Spotkanie 12.03.1985'), [])
})

test('a short word before a value does not hide it', async () => {
  for (const [text, value] of [
    ['przelej na 61 1090 1014 0000 0712 1981 2874', 'IBAN 61 1090 1014 0000 0712 1981 2874'],
    ['moved us to 61109010140000071219812874 today', 'IBAN 61109010140000071219812874'],
    ['upstream { server 85.12.20.171:8443; }', 'IP 85.12.20.171'],
    ['the dev 10.1.2.3 is down', 'IP 10.1.2.3'],
    ['tel.600700800', 'PHONE 600700800'],
    ['kom.600-700-800 po 16', 'PHONE 600-700-800'],
    ["ask o'hara@post.example.ie", "EMAIL o'hara@post.example.ie"],
    ["'jan@example.com'", 'EMAIL jan@example.com'],
    ["to='jan@example.com'", 'EMAIL jan@example.com'],
  ] as const)
    assert.deepEqual(await found(text), [value], text)
})

test('text that only resembles a value is not changed', async () => {
  for (const text of [
    'gpt-4o-2024-05-13',
    'Order 1234567890 has shipped',
    'version 10.0.1.2',
    'img.600700800.jpg',
    '127.0.0.1:8080',
    '4111 1111 1111 1112',
    '44051401358',
    'https://example.com/?page=2',
    'npm i @scope/package',
    '123e4567-e89b-12d3-a456-426614174000',
    '12:34:56',
    'PL61109010140000071219812875',
  ])
    assert.deepEqual(await found(text), [], text)
})

test('configured words and expressions have their own kinds, and kinds can be turned off', async () => {
  const rules = new MaskingRules({
    ...all,
    off: ['EMAIL'],
    words: { PROJECT: ['Blue Falcon'] },
    expressions: { STAFF: ['\\bE-[0-9]{6}\\b'] },
  })
  assert.deepEqual(await found('BLUE  falcon, E-123456, jan@example.com, Blue Falcons', rules), [
    'PROJECT BLUE  falcon',
    'STAFF E-123456',
  ])
})

test('a value that spans two slices of a long text is found once', async () => {
  const token = `eyJ${'a'.repeat(900)}.eyJ${'b'.repeat(5_000)}.${'c'.repeat(300)}`
  const key = `-----BEGIN PRIVATE KEY-----\n${'A\n'.repeat(3_000)}-----END PRIVATE KEY-----`
  for (const [kind, value] of [
    ['EMAIL', 'jan@example.com'],
    ['SECRET', token],
    ['SECRET', key],
  ] as const)
    for (const before of [8_170, 8_192, 16_380]) {
      const long = `${'x '.repeat(before / 2)}${value} ${'y '.repeat(20_000)}`
      assert.deepEqual(await found(long), [`${kind} ${value}`])
    }
})

test('detection takes linear time', { timeout: 60_000 }, async () => {
  for (const piece of ['a', '1', '@', 'a@', '1 ', '1-', '::', '.', 'A1 ', 'http://', 'sk-', '%41', '\u200b'])
    await found(piece.repeat(Math.ceil(200_000 / piece.length)))
})
