import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { boundaryOf, type FormPart, MultipartScan } from '../../src/relay/upstream/multipart.ts'

const part = (parameters: string, value: string): string =>
  `--b\r\nContent-Disposition: form-data; ${parameters}\r\n\r\n${value}\r\n`
const file = part(
  'name="file"; filename="model.wav"\r\nContent-Type: audio/wav',
  '\r\n--c\r\n\r\n--\r\n-\u0000',
)
const model = part('name="model"', 'whisper')

interface Found extends Pick<FormPart, 'name' | 'filename' | 'value'> {
  text: string
}

function partsOf(body: string | Buffer, cut = body.length): Found[] {
  const bytes = Buffer.from(body)
  const scan = new MultipartScan('b', 'model')
  scan.push(bytes.subarray(0, cut))
  scan.push(bytes.subarray(cut))
  return scan.end().map(({ name, filename, start, end, value }) => {
    return { name, filename, value, text: bytes.toString('utf8', start, end) }
  })
}

const modelOf = (form: string, cut?: number) => partsOf(form, cut).find(({ value }) => value !== undefined)

describe('a form field', () => {
  const forms = {
    'before the file': `${model}${file}--b--\r\n`,
    'after the file': `${file}${model}--b--`,
    'after a preamble': `preamble\r\n${model}--b--\r\nepilogue`,
    'with an unquoted name': `--b\r\ncontent-disposition:form-data;name=model\r\n\r\nwhisper\r\n--b--`,
    'with encodings that change nothing': `--b\r\nContent-Transfer-Encoding: 8bit\r\nContent-Length: 7\r\nContent-Disposition: Form-Data; NAME="model"\r\n\r\nwhisper\r\n--b--`,
  }
  for (const [where, form] of Object.entries(forms)) {
    test(`is found ${where}, wherever the body is split`, () => {
      for (let cut = 0; cut <= form.length; cut++) {
        const found = modelOf(form, cut)
        assert.deepEqual([found?.value, found?.text], ['whisper', 'whisper'], `split at ${cut}`)
      }
    })
  }

  test("is not found in another part's file name or value", () => {
    assert.equal(modelOf(`${file}${part('name="x"', 'name="model"')}--b--`), undefined)
  })

  test('with an empty value is read as empty', () => {
    assert.equal(modelOf(`${part('name="model"', '')}--b--`)?.value, '')
  })
})

test('file names are read as clients write them', () => {
  const written: [parameters: string, filename: string][] = [
    ['name=file; filename=a.wav', 'a.wav'], // .NET
    ['name="file"; filename="zażółć 录音.wav"', 'zażółć 录音.wav'], // requests, httpx, browsers
    ['name="file"; filename="C:\\\\a.wav"', 'C:\\\\a.wav'], // httpx
    ['name="file"; filename="a%22b;c.wav"', 'a%22b;c.wav'], // browsers, curl
    ['name="file"; filename=""', ''],
    ['name="file";\tfilename="a=b, c"', 'a=b, c'],
    ['filename="a.wav"; name="file"', 'a.wav'],
  ]
  for (const [parameters, filename] of written) {
    const [found] = partsOf(`${part(parameters, 'x')}--b--`)
    assert.deepEqual([found?.name, found?.filename, found?.text], ['file', filename, 'x'], parameters)
  }
})

describe('a header that an upstream could read differently is rejected', () => {
  const dispositions: Record<string, string> = {
    'a parameter in the value of an unknown one': 'form-data; x="; name=y"; name="model"',
    'a name in the name of a file': 'form-data; name="x"; filename="; name=model"',
    'a name in the name of a file, before it': 'form-data; filename="a;name=model"; name="x"',
    'a name in quotes in the name of a file': 'form-data; name="x"; filename="a\\"; name="model"',
    'a name in a name': 'form-data; name="x; name=model"',
    'two names': 'form-data; name="x"; name="model"',
    'two names in different letter cases': 'form-data; name="x"; NAME=model',
    'an extended name': "form-data; name*=utf-8''model",
    'an extended name beside a plain one': 'form-data; name="x"; name*=utf-8\'\'model',
    'an extended name of a file': 'form-data; name="x"; filename="a"; filename*=utf-8\'\'a',
    'a name in continuations': 'form-data; name*0="mo"; name*1="del"',
    'an unknown parameter': 'form-data; name="model"; size=3',
    'an escaped letter': 'form-data; name="mo\\del"',
    'an escaped quote': 'form-data; name="x\\"y"',
    'a file name that ends in a backslash': 'form-data; name="x"; filename="a\\"',
    'a quote that is not closed': 'form-data; name="model',
    'a quote that is not opened': 'form-data; name=model"',
    'single quotes and a space': "form-data; name='mo del'",
    'a bare name with a space': 'form-data; name=mo del',
    'spaces around the equals sign': 'form-data; name = "model"',
    'no separator': 'form-data name="model"',
    'two separators': 'form-data;; name="model"',
    'a separator at the end': 'form-data; name="model";',
    'text after a value': 'form-data; name="model"x',
    'a comma': 'form-data; name="x", form-data; name="model"',
    'no name': 'form-data; filename="a"',
    'an empty name': 'form-data; name=""',
    'no parameters': 'form-data',
    'another type': 'attachment; name="model"',
    'no type': 'name="model"',
    'a comment': 'form-data (x); name="model"',
    'a folded line': 'form-data;\r\n name="model"',
    'a line folded by a tab': 'form-data; name="x";\r\n\tfilename="a"',
    'a bare CR': 'form-data; name="x";\rname="model"',
    'a bare LF': 'form-data; name="x"\nContent-Disposition: form-data; name="model"',
    'a NUL': 'form-data; name="model\0"',
    'a control character': 'form-data; name="\x0bmodel"',
    'a file instead of the field': 'form-data; name="model"; filename="a"',
    'the name in another letter case': 'form-data; name="Model"',
    'the name between spaces': 'form-data; name=" model "',
    'the name between other spaces': 'form-data; name="\u00a0model"',
  }
  const lines: Record<string, string> = {
    'two dispositions':
      'Content-Disposition: form-data; name="x"\r\ncontent-disposition: form-data; name="model"',
    'no disposition': 'Content-Type: text/plain',
    'no header': '',
    'a space before the colon': 'Content-Disposition : form-data; name="model"',
    'a header without a colon': 'Content-Disposition: form-data; name="model"\r\nx',
    'a header without a name': 'Content-Disposition: form-data; name="model"\r\n: x',
    'a space before the first header': ' Content-Disposition: form-data; name="model"',
    'an encoding':
      'Content-Disposition: form-data; name="model"\r\nContent-Transfer-Encoding: quoted-printable',
    'an encoding in another letter case':
      'Content-Disposition: form-data; name="model"\r\ncontent-transfer-encoding: BASE64',
    'a nested form': 'Content-Disposition: form-data; name="x"\r\nContent-Type: multipart/mixed; boundary=c',
    'a control character in a type': 'Content-Disposition: form-data; name="x"\r\nContent-Type: a/b\x7f',
  }
  const headers = [
    ...Object.entries(dispositions).map(([what, text]) => [what, `Content-Disposition: ${text}`] as const),
    ...Object.entries(lines),
  ]
  for (const [what, header] of headers) {
    test(`a part with ${what} is rejected`, () => {
      const form = `--b\r\n${header}\r\n\r\nwhisper\r\n--b--\r\n`
      assert.throws(() => partsOf(form), { kind: 'bad_request' }, header)
    })
  }

  test('a header with bytes that are not UTF-8 is rejected', () => {
    const [head, tail] = [part('name="file"; filename="', '').slice(0, -6), '"\r\n\r\nx\r\n--b--']
    const form = Buffer.concat([Buffer.from(head), Buffer.from([0xff]), Buffer.from(tail)])
    assert.throws(() => partsOf(form), { kind: 'bad_request', message: /UTF-8/ })
  })
})

test('a boundary that other parsers would read differently is rejected', () => {
  const end = '\r\n--b--\r\n'
  const hidden = 'Content-Disposition: form-data; name="model"\r\n\r\nother'
  for (const content of [
    `x\n--b\n${hidden}`,
    `x\n--b\r\n${hidden}`,
    `x\r--b\r\n${hidden}`,
    `x\r\n--b\n${hidden}`,
    `x\r\n--b \r\n${hidden}`,
    `x\r\n--bb\r\n${hidden}`,
    `x --b x`,
    '--b--',
  ])
    for (const form of [part('name="file"; filename="a"', content), part('name="model"', content)]) {
      for (let cut = 0; cut <= form.length; cut++)
        assert.throws(() => partsOf(form.slice(0, -2) + end, cut), { kind: 'bad_request' }, content)
    }
})

test('a form that is cut off, repeats the field, or has unbounded headers or values is rejected', () => {
  for (const [form, why] of [
    [model, /not complete/],
    [`${model}${model}--b--`, /more than once/],
    [`--b\r\nX: ${'x'.repeat(20_000)}`, /headers of a part of the form are too long/],
    [part('name="model"', 'x'.repeat(3_000)), /'model' is too long/],
    [part('name="x"', '').repeat(300), /too many parts/],
    ['', /not complete/],
  ] as const) {
    assert.throws(() => partsOf(form), { kind: 'bad_request', message: why })
  }
})

test('a boundary is read as the standard allows, and nothing else is accepted', () => {
  assert.equal(boundaryOf('multipart/form-data; boundary=----X1'), '----X1')
  assert.equal(boundaryOf('multipart/form-data; charset=utf-8; boundary="a b"'), 'a b')
  assert.equal(boundaryOf('multipart/form-data; boundary=a=b/c; charset=utf-8'), 'a=b/c')
  for (const bad of [
    'multipart/form-data',
    'multipart/mixed; boundary=a',
    'multipart/form-data; boundary="a\r\nb"',
    'multipart/form-data; boundary="a "',
    'multipart/form-data; boundary=a; boundary=b',
    'multipart/form-data; boundary="a',
    'multipart/form-data; boundary=a, multipart/form-data; boundary=b',
  ])
    assert.equal(boundaryOf(bad), undefined, bad)
  assert.equal(boundaryOf('multipart/form-data; x="; boundary=a"; boundary=b'), 'b')
  assert.equal(boundaryOf(`multipart/form-data; boundary=${'x'.repeat(71)}`), undefined)
})
