import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { boundaryOf, MultipartScan } from '../../src/core/multipart.ts'

const part = (headers: string, value: string): string =>
  `--b\r\nContent-Disposition: form-data; ${headers}\r\n\r\n${value}\r\n`
const file = part(
  'name="file"; filename="model.wav"\r\nContent-Type: audio/wav',
  '\r\n--c\r\n\r\n--\r\n-\u0000',
)
const model = part('name="model"', 'whisper')

function placeIn(body: string, cut = body.length): { value: string; text: string } | undefined {
  const bytes = Buffer.from(body, 'latin1')
  const scan = new MultipartScan('b', 'model')
  scan.push(bytes.subarray(0, cut))
  scan.push(bytes.subarray(cut))
  const found = scan.end()
  return found && { value: found.value, text: bytes.toString('latin1', found.start, found.end) }
}

describe('a field of a form', () => {
  const forms = {
    'before the file': `${model}${file}--b--\r\n`,
    'after the file': `${file}${model}--b--`,
    'after a preamble': `preamble\r\n${model}--b--\r\nepilogue`,
    'with its name bare': `--b\r\ncontent-disposition:form-data;name=model\r\n\r\nwhisper\r\n--b--`,
  }
  for (const [where, form] of Object.entries(forms)) {
    test(`is found ${where}, wherever the body is cut`, () => {
      for (let cut = 0; cut <= form.length; cut++) {
        assert.deepEqual(placeIn(form, cut), { value: 'whisper', text: 'whisper' }, `cut at ${cut}`)
      }
    })
  }

  test('is none where another has it as its file name or in its value', () => {
    assert.equal(placeIn(`${file}${part('name="x"', 'name="model"')}--b--`), undefined)
  })

  test('may be empty', () => {
    assert.deepEqual(placeIn(`${part('name="model"', '')}--b--`), { value: '', text: '' })
  })
})

test('a form that breaks off, says the field twice, or has endless headers or values is refused', () => {
  for (const [form, why] of [
    [model, /not complete/],
    [`${model}${model}--b--`, /more than once/],
    [`--b\r\nX: ${'x'.repeat(20_000)}`, /too long headers/],
    [part('name="model"', 'x'.repeat(3_000)), /'model' is too long/],
    [part('name="x"', '').repeat(300), /too many parts/],
    ['', /not complete/],
  ] as const) {
    assert.throws(() => placeIn(form), { kind: 'bad_request', message: why })
  }
})

test('a boundary is read as the standard allows it, and nothing else is', () => {
  assert.equal(boundaryOf('multipart/form-data; boundary=----X1'), '----X1')
  assert.equal(boundaryOf('multipart/form-data; charset=utf-8; boundary="a b"'), 'a b')
  for (const bad of [
    'multipart/form-data',
    'multipart/form-data; boundary="a\r\nb"',
    'multipart/form-data; boundary="a "',
  ])
    assert.equal(boundaryOf(bad), undefined, bad)
  assert.equal(boundaryOf(`multipart/form-data; boundary=${'x'.repeat(71)}`), undefined)
})
