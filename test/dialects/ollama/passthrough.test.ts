import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { createPassthrough } from '../../../src/dialects/ollama/passthrough.ts'
import { everyCut, singleBytes } from '../shared/codec.ts'
import { fixture, fixtures, passChunks } from './support.ts'

/** What the client must receive: the fixture's own bytes, except the first `model` of each line. */
function renamed(bytes: Buffer): string {
  return bytes.toString().replaceAll(/^\{"model":"[^"]*"/gm, '{"model":"alias"')
}

function line(rest: string, model = '"model":"m"'): string {
  return `{${model},"created_at":"2026-11-23T10:00:00Z",${rest}}\n`
}

const hi = line('"message":{"role":"assistant","content":"Hi"},"done":false')
const done = line(
  '"message":{"role":"assistant","content":""},"done":true,"done_reason":"stop","eval_count":2',
)

function pass(...chunks: string[]): ReturnType<typeof passChunks> {
  return passChunks(chunks.map((chunk) => Buffer.from(chunk)))
}

describe('streams split at any byte', () => {
  for (const name of fixtures) {
    const bytes = fixture(name)
    const failed = name === 'error-line'
    const expected = failed ? `${renamed(bytes).split('\n')[0]}\n` : renamed(bytes)

    test(`${name}: bytes pass through with only the model replaced, split anywhere`, () => {
      for (const chunks of [...everyCut(bytes), singleBytes(bytes)]) {
        const { out, state } = passChunks(chunks)
        assert.equal(out, expected)
        assert.equal(state.ended, !failed)
        assert.equal(state.failure?.causeCode, failed ? 'UPSTREAM_ERROR' : undefined)
      }
    })

    test(`${name}: a close before the last line is complete is a failure, and only complete lines are emitted`, () => {
      for (let length = 0; length < bytes.length - 1; length++) {
        const { out, state } = passChunks([bytes.subarray(0, length)])
        assert.equal(state.ended, false)
        assert.ok(state.failure, `at byte ${length}`)
        assert.ok(expected.startsWith(out) && (out === '' || out.endsWith('\n')))
      }
    })

    test(`${name}: CRLF line endings are kept`, () => {
      const crlf = (text: string) => text.replaceAll('\n', '\r\n')
      assert.equal(passChunks(singleBytes(Buffer.from(crlf(bytes.toString())))).out, crlf(expected))
    })
  }
})

test('token counts are read from the last line', () => {
  assert.deepEqual(passChunks([fixture('text')]).state.usage, { promptTokens: 9, completionTokens: 5 })
})

test('a last line without its line feed counts, and is completed', () => {
  const { out, state } = passChunks([fixture('text').subarray(0, -1)])
  assert.equal(out, renamed(fixture('text')))
  assert.equal(state.ended, true)
})

test('data after the end is dropped, in the same chunk and in later ones', () => {
  const { out } = pass(hi + done + hi, hi)
  assert.equal(out, renamed(Buffer.from(hi + done)))
})

test('the end is recognized with any spacing, and a nested "done" is not the end', () => {
  for (const written of ['"done":true', '"done": true', '"done" :\ttrue']) {
    assert.equal(pass(hi, done.replace('"done":true', written)).state.ended, true, written)
  }
  const nested = line(
    '"message":{"tool_calls":[{"function":{"name":"f","arguments":{"done":true}}}]},"done":false',
  )
  assert.equal(passChunks([Buffer.from(hi + nested)], 'alias', false).state.ended, false)
})

test('an error and everything after it are withheld from the client; the lines before it are not', () => {
  const { out, state } = pass(`${hi}{"error":"CUDA at 10.0.0.7"}\n${hi}`, done)
  assert.equal(out, renamed(Buffer.from(hi)))
  assert.equal(state.failure?.kind, 'upstream_error')
  assert.equal(state.failure?.message, 'The upstream reported an error')
})

test('the word "error" in a text or in arguments is not an error', () => {
  const word = line('"message":{"content":"error"},"done":false')
  const nested = line(
    '"message":{"tool_calls":[{"function":{"name":"f","arguments":{"error":"x"}}}]},"done":false',
  )
  assert.equal(pass(hi, word, nested, done).out, renamed(Buffer.from(hi + word + nested + done)))
})

test('a first line that is not a JSON object is a failure before anything is emitted', () => {
  const { out, state } = pass('<html>\n')
  assert.equal(out, '')
  assert.equal(state.failure?.causeCode, 'BAD_ANSWER')
})

describe('content', () => {
  const first = (rest: string) => {
    const passthrough = createPassthrough({ model: 'alias', stripUsage: false, choices: 1 })
    passthrough.push(Buffer.from(line(rest)))
    return passthrough.state.content
  }
  test('a line with empty text does not count as content', () =>
    assert.equal(first('"message":{"content":""},"done":false'), false))
  test('a line with text counts as content', () =>
    assert.equal(first('"message":{"content":" "},"done":false'), true))
  test('a line with reasoning counts as content', () =>
    assert.equal(first('"message":{"content":"","thinking":"x"},"done":false'), true))
  test('a line with a tool call counts as content', () =>
    assert.equal(first('"message":{"tool_calls":[{}]},"done":false'), true))
  test('a line with an empty list of tool calls does not count as content', () =>
    assert.equal(first('"message":{"tool_calls":[]},"done":false'), false))
  test('the last line counts as content, even without text', () =>
    assert.equal(first('"message":{"content":""},"done":true'), true))
})

describe('model name', () => {
  test('the model name is replaced at the top level only, not in arguments', () => {
    const nested =
      '"message":{"tool_calls":[{"function":{"name":"f","arguments":{"model":"m"}}}]},"done":false'
    assert.equal(pass(line(nested), done).out, renamed(Buffer.from(line(nested) + done)))
  })

  test('the model name is replaced in lines that start differently or have another model', () => {
    const late = '{"created_at":"1","model" : "m","message":{"content":"x"},"done":false}\n'
    const later = '{"created_at":"2","model":"m2","message":{"content":"x"},"done":false}\n'
    assert.equal(
      pass(late, later, done).out,
      late.replace('"m"', '"alias"') + later.replace('"m2"', '"alias"') + done.replace('"m"', '"alias"'),
    )
  })

  test('the model name is written as JSON, and lines without one are unchanged', () => {
    const bare = '{"message":{"content":"x"},"done":false}\n'
    const { out } = passChunks([Buffer.from(bare + hi + done)], 'a"b')
    assert.equal(out, bare + (hi + done).replaceAll('"m"', '"a\\"b"'))
  })

  test('a model name that is already the alias leaves the bytes unchanged', () => {
    const passthrough = createPassthrough({ model: 'm', stripUsage: false, choices: 1 })
    passthrough.push(Buffer.from(hi))
    const chunk = Buffer.from(hi)
    assert.equal(passthrough.push(chunk)?.buffer, chunk.buffer)
  })
})

describe('a very long line', () => {
  const long = line(`"message":{"content":"${'x'.repeat(100_000)}"},"done":false`)

  test('a line of many chunks is recognized as the last one', () => {
    const last = long.replace('"done":false', '"done":true,"eval_count":3')
    const { out, state } = passChunks(inPieces(Buffer.from(last + hi), 10_000))
    assert.equal(out, renamed(Buffer.from(last)))
    assert.deepEqual(state.usage, { promptTokens: 0, completionTokens: 3 })
  })

  test('a very long line that may be an error is held until it is complete', () => {
    const error = `{"error":"${'x'.repeat(100_000)}"}\n`
    const { out, state } = passChunks([Buffer.from(hi), ...inPieces(Buffer.from(error), 10_000)])
    assert.equal(out, renamed(Buffer.from(hi)))
    assert.equal(state.failure?.causeCode, 'UPSTREAM_ERROR')
  })

  test('a line without an end is a failure', () => {
    const { state } = passChunks(Array.from({ length: 20 }, () => Buffer.alloc(1024 * 1024, 'x')))
    assert.equal(state.failure?.causeCode, 'BAD_ANSWER')
  })
})

function inPieces(bytes: Buffer, size: number): Buffer[] {
  return Array.from({ length: Math.ceil(bytes.length / size) }, (_none, at) =>
    bytes.subarray(at * size, (at + 1) * size),
  )
}
