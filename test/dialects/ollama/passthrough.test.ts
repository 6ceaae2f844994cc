import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { createPassthrough } from '../../../src/dialects/ollama/passthrough.ts'
import { cutInTwo, fixture, fixtures, oneByOne, passChunks } from './support.ts'

/** What the client must get: the fixture's own bytes, but for the first `model` of each line. */
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

describe('whatever the cuts', () => {
  for (const name of fixtures) {
    const bytes = fixture(name)
    const failed = name === 'error-line'
    const expected = failed ? `${renamed(bytes).split('\n')[0]}\n` : renamed(bytes)

    test(`${name}: bytes go through with only the model replaced, cut anywhere`, () => {
      for (const chunks of [...cutInTwo(bytes), oneByOne(bytes)]) {
        const { out, state } = passChunks(chunks)
        assert.equal(out, expected)
        assert.equal(state.ended, !failed)
        assert.equal(state.failure?.causeCode, failed ? 'UPSTREAM_ERROR' : undefined)
      }
    })

    test(`${name}: a close before the last line is whole is a failure, and gives whole lines only`, () => {
      for (let length = 0; length < bytes.length - 1; length++) {
        const { out, state } = passChunks([bytes.subarray(0, length)])
        assert.equal(state.ended, false)
        assert.ok(state.failure, `at byte ${length}`)
        assert.ok(expected.startsWith(out) && (out === '' || out.endsWith('\n')))
      }
    })

    test(`${name}: CRLF stays CRLF`, () => {
      const crlf = (text: string) => text.replaceAll('\n', '\r\n')
      assert.equal(passChunks(oneByOne(Buffer.from(crlf(bytes.toString())))).out, crlf(expected))
    })
  }
})

test('counts are read from the last line', () => {
  assert.deepEqual(passChunks([fixture('text')]).state.usage, { promptTokens: 9, completionTokens: 5 })
})

test('a last line without its line feed counts, and gets one', () => {
  const { out, state } = passChunks([fixture('text').subarray(0, -1)])
  assert.equal(out, renamed(fixture('text')))
  assert.equal(state.ended, true)
})

test('what follows the end is dropped, in the same chunk and in later ones', () => {
  const { out } = pass(hi + done + hi, hi)
  assert.equal(out, renamed(Buffer.from(hi + done)))
})

test('the end is known however the upstream writes it, and a nested "done" is not the end', () => {
  for (const written of ['"done":true', '"done": true', '"done" :\ttrue']) {
    assert.equal(pass(hi, done.replace('"done":true', written)).state.ended, true, written)
  }
  const nested = line(
    '"message":{"tool_calls":[{"function":{"name":"f","arguments":{"done":true}}}]},"done":false',
  )
  assert.equal(passChunks([Buffer.from(hi + nested)], 'alias', false).state.ended, false)
})

test('an error is kept from the client with all that follows; the lines before it are not', () => {
  const { out, state } = pass(`${hi}{"error":"CUDA at 10.0.0.7"}\n${hi}`, done)
  assert.equal(out, renamed(Buffer.from(hi)))
  assert.equal(state.failure?.kind, 'upstream_error')
  assert.equal(state.failure?.message, 'The upstream reported an error')
})

test('the word "error" as text or in arguments is no error', () => {
  const word = line('"message":{"content":"error"},"done":false')
  const nested = line(
    '"message":{"tool_calls":[{"function":{"name":"f","arguments":{"error":"x"}}}]},"done":false',
  )
  assert.equal(pass(hi, word, nested, done).out, renamed(Buffer.from(hi + word + nested + done)))
})

test('a first line that is no JSON object is a failure before anything was given', () => {
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
  test('an empty line of an answer is none', () =>
    assert.equal(first('"message":{"content":""},"done":false'), false))
  test('text is', () => assert.equal(first('"message":{"content":" "},"done":false'), true))
  test('a line with a thought counts as content', () =>
    assert.equal(first('"message":{"content":"","thinking":"x"},"done":false'), true))
  test('a line with a tool call counts as content', () =>
    assert.equal(first('"message":{"tool_calls":[{}]},"done":false'), true))
  test('a line with an empty list of tool calls is no content', () =>
    assert.equal(first('"message":{"tool_calls":[]},"done":false'), false))
  test('the last line counts as content, also without text', () =>
    assert.equal(first('"message":{"content":""},"done":true'), true))
})

describe('the model', () => {
  test('is replaced only at the top, not in arguments', () => {
    const nested =
      '"message":{"tool_calls":[{"function":{"name":"f","arguments":{"model":"m"}}}]},"done":false'
    assert.equal(pass(line(nested), done).out, renamed(Buffer.from(line(nested) + done)))
  })

  test('is found where lines start otherwise or change their name', () => {
    const late = '{"created_at":"1","model" : "m","message":{"content":"x"},"done":false}\n'
    const later = '{"created_at":"2","model":"m2","message":{"content":"x"},"done":false}\n'
    assert.equal(
      pass(late, later, done).out,
      late.replace('"m"', '"alias"') + later.replace('"m2"', '"alias"') + done.replace('"m"', '"alias"'),
    )
  })

  test('is written as JSON, and lines without one stay as they are', () => {
    const bare = '{"message":{"content":"x"},"done":false}\n'
    const { out } = passChunks([Buffer.from(bare + hi + done)], 'a"b')
    assert.equal(out, bare + (hi + done).replaceAll('"m"', '"a\\"b"'))
  })

  test('that is the alias already leaves the very bytes that came', () => {
    const passthrough = createPassthrough({ model: 'm', stripUsage: false, choices: 1 })
    passthrough.push(Buffer.from(hi))
    const chunk = Buffer.from(hi)
    assert.equal(passthrough.push(chunk)?.buffer, chunk.buffer)
  })
})

describe('a very long line', () => {
  const long = line(`"message":{"content":"${'x'.repeat(100_000)}"},"done":false`)

  test('a line of many chunks is recognised as the last one', () => {
    const last = long.replace('"done":false', '"done":true,"eval_count":3')
    const { out, state } = passChunks(inPieces(Buffer.from(last + hi), 10_000))
    assert.equal(out, renamed(Buffer.from(last)))
    assert.deepEqual(state.usage, { promptTokens: 0, completionTokens: 3 })
  })

  test('that may be an error waits for its end', () => {
    const error = `{"error":"${'x'.repeat(100_000)}"}\n`
    const { out, state } = passChunks([Buffer.from(hi), ...inPieces(Buffer.from(error), 10_000)])
    assert.equal(out, renamed(Buffer.from(hi)))
    assert.equal(state.failure?.causeCode, 'UPSTREAM_ERROR')
  })

  test('without any end is a failure', () => {
    const { state } = passChunks(Array.from({ length: 20 }, () => Buffer.alloc(1024 * 1024, 'x')))
    assert.equal(state.failure?.causeCode, 'BAD_ANSWER')
  })
})

function inPieces(bytes: Buffer, size: number): Buffer[] {
  return Array.from({ length: Math.ceil(bytes.length / size) }, (_none, at) =>
    bytes.subarray(at * size, (at + 1) * size),
  )
}
