import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { createPassthrough } from '../../../src/dialects/openai/passthrough.ts'
import { cutAt, singleBytes, withLineEnds } from '../shared/codec.ts'
import { fixture, passPieces } from './replay.ts'

const usage = { promptTokens: 9, completionTokens: 4 }

/** What the client must receive: the same bytes with the other model name. */
function renamed(bytes: Buffer): string {
  return bytes.toString().replaceAll(/("model": ?)"(?:org\/up-7b|\/models\/qwen3)"/g, '$1"alias"')
}

function events(...data: (object | string)[]): Buffer {
  const lines = data.map((each) => `data: ${typeof each === 'string' ? each : JSON.stringify(each)}\n\n`)
  return Buffer.from(lines.join(''))
}

function chunk(delta: object, finish: string | null = null, index = 0): object {
  return { model: 'up', choices: [{ index, delta, finish_reason: finish }] }
}

const cases = [
  { name: 'text.sse', choices: 1, usage: { ...usage, cachedTokens: 2, reasoningTokens: 1 } },
  { name: 'reasoning.sse', choices: 1, usage },
  { name: 'tools.sse', choices: 1, usage: undefined },
  { name: 'two-choices.sse', choices: 2, usage: undefined },
  { name: 'refusal.sse', choices: 1, usage: undefined },
]

describe('bytes of a passthrough', () => {
  for (const { name, choices, usage: counts } of cases) {
    const bytes = fixture(name)

    it(`${name} keeps every byte except the model name`, () => {
      const { out, state } = passPieces([bytes], { choices })
      assert.equal(out, renamed(bytes))
      assert.deepEqual(state, { content: true, ended: true, failure: undefined, usage: counts })
    })

    it(`${name} is passed on identically when split at any byte`, () => {
      const expected = renamed(bytes)
      for (let at = 0; at <= bytes.length; at++) {
        const { out, state } = passPieces(cutAt(bytes, at), { choices })
        assert.equal(out, expected, `cut at ${at}`)
        assert.deepEqual(state.usage, counts)
      }
      assert.equal(passPieces(singleBytes(bytes), { choices }).out, expected)
    })

    it(`${name} is passed on identically with CRLF and with CR, split at any byte`, () => {
      for (const lineEnd of ['\r\n', '\r']) {
        const other = withLineEnds(bytes, lineEnd)
        const expected = renamed(other)
        for (let at = 0; at <= other.length; at++) {
          const { out, state } = passPieces(cutAt(other, at), { choices })
          assert.equal(out, expected, `cut at ${at}`)
          assert.equal(state.ended, true)
        }
      }
    })

    it(`${name} fails wherever it is cut off before its finish`, () => {
      const finish = Math.max(bytes.lastIndexOf('"finish_reason":"'), bytes.lastIndexOf('"finish_reason": "'))
      for (let at = 0; at <= finish; at++) {
        const { out, state } = passPieces([bytes.subarray(0, at)], { choices })
        assert.equal(state.failure?.causeCode, 'TRUNCATED', `cut off at ${at}`)
        assert.equal(state.ended, false)
        assert.ok(out === '' || out.endsWith('\n\n'), 'whole events only')
        assert.doesNotMatch(out, /^data: \[DONE\]/m)
      }
    })
  }

  it('a byte order mark is removed', () => {
    const bytes = fixture('text.sse')
    const marked = Buffer.concat([Buffer.from('\ufeff'), bytes])
    assert.equal(passPieces([marked]).out, renamed(bytes))
    assert.equal(passPieces(singleBytes(marked)).out, renamed(bytes))
  })

  it('an alias equal to the upstream’s model name changes nothing', () => {
    const bytes = fixture('tools.sse')
    assert.equal(passPieces([bytes], { model: 'org/up-7b' }).out, bytes.toString())
  })

  it('an alias with characters that JSON escapes is written as JSON', () => {
    const { out } = passPieces([events(chunk({ content: 'a' }, 'stop'), '[DONE]')], { model: 'a "b"' })
    assert.match(out, /"model":"a \\"b\\""/)
  })

  it('a nested member called model is not mistaken for the model name', () => {
    const nested = { meta: { model: 'inner' }, ...chunk({ content: 'a' }, 'stop') }
    const { out } = passPieces([events(nested, '[DONE]')])
    assert.match(out, /"meta":\{"model":"inner"\},"model":"alias"/)
  })

  it('an empty name in the first chunk is not mistaken for the model name', () => {
    const { out } = passPieces([
      events({ model: '', choices: [] }, chunk({ content: 'a' }, 'stop'), '[DONE]'),
    ])
    assert.doesNotMatch(out, /"up"/)
  })

  it('a chunk is passed on before the next one arrives', () => {
    const passthrough = createPassthrough({ model: 'alias', stripUsage: false, choices: 1 })
    const [first, second] = [events(chunk({ content: 'a' })), events(chunk({ content: 'b' }))]
    assert.equal(passthrough.push(first)?.toString(), first.toString().replace('"up"', '"alias"'))
    assert.equal(passthrough.push(second.subarray(0, 20)), undefined)
    assert.equal(
      passthrough.push(second.subarray(20))?.toString(),
      second.toString().replace('"up"', '"alias"'),
    )
  })
})

describe('content', () => {
  it('roles, comments, pings and token counts are not content', () => {
    const passthrough = createPassthrough({ model: 'alias', stripUsage: false, choices: 1 })
    passthrough.push(Buffer.from(': hello\n\nevent: ping\ndata: {}\n\n'))
    passthrough.push(events(chunk({ role: 'assistant', content: '', tool_calls: [], refusal: null })))
    passthrough.push(events({ choices: [], usage: { prompt_tokens: 1, completion_tokens: 1 } }))
    assert.equal(passthrough.state.content, false)
  })

  it('text, reasoning, refusals, tool calls, unknown parts and a finish are content', () => {
    const deltas = [
      chunk({ content: 'a' }),
      chunk({ reasoning: 'a' }),
      chunk({ refusal: 'a' }),
      chunk({ tool_calls: [{ index: 0 }] }),
      chunk({ audio: { data: 'aa' } }),
      chunk({}, 'stop'),
    ]
    for (const delta of deltas) {
      const passthrough = createPassthrough({ model: 'alias', stripUsage: false, choices: 1 })
      passthrough.push(events(delta))
      assert.equal(passthrough.state.content, true, JSON.stringify(delta))
    }
  })

  it('an event before content that is not JSON is a failure and is not passed on', () => {
    const { out, state } = passPieces([Buffer.from('data: <html>\n\n')])
    assert.equal(state.failure?.causeCode, 'BAD_ANSWER')
    assert.equal(out, '')
  })
})

describe('token counts', () => {
  it('the usage chunk that only the router requested is withheld from the client, and nothing else', () => {
    const bytes = fixture('text.sse')
    const text = renamed(bytes)
    const start = text.indexOf('data: {', text.indexOf('"finish_reason":"stop"'))
    const expected = text.slice(0, start) + text.slice(text.indexOf('data: [DONE]'))
    for (let at = 0; at <= bytes.length; at++) {
      const { out, state } = passPieces(cutAt(bytes, at), { stripUsage: true })
      assert.equal(out, expected, `cut at ${at}`)
      assert.equal(state.usage?.promptTokens, 9)
    }
  })

  it('white space in an empty list of choices is allowed in a usage chunk', () => {
    const counts = 'data: {"choices" : [ ], "usage" : {"prompt_tokens": 1, "completion_tokens": 2}}\n\n'
    const bytes = Buffer.concat([
      events(chunk({ content: 'a' }, 'stop')),
      Buffer.from(counts),
      events('[DONE]'),
    ])
    const { out, state } = passPieces([bytes], { stripUsage: true })
    assert.doesNotMatch(out, /usage/)
    assert.deepEqual(state.usage, { promptTokens: 1, completionTokens: 2 })
  })

  it('token counts beside content are passed on, and the last ones are used', () => {
    const running = { ...chunk({ content: 'a' }), usage: { prompt_tokens: 1, completion_tokens: 1 } }
    const last = { ...chunk({}, 'stop'), usage: { prompt_tokens: 1, completion_tokens: 5 }, tail: { a: '}' } }
    const bytes = events(running, last, '[DONE]')
    const { out, state } = passPieces([bytes], { model: 'up', stripUsage: true })
    assert.equal(out, bytes.toString())
    assert.deepEqual(state.usage, { promptTokens: 1, completionTokens: 5 })
  })

  it('token counts in a choice or in a vendor field are found', () => {
    const counts = { prompt_tokens: 3, completion_tokens: 2 }
    const finish = chunk({ content: 'a' }, 'stop')
    const chunks = [
      { ...finish, x_groq: { usage: counts } },
      { ...finish, choices: [{ index: 0, delta: { content: 'a' }, finish_reason: 'stop', usage: counts }] },
    ]
    for (const each of chunks) {
      const { state } = passPieces([events(each, '[DONE]')])
      assert.deepEqual(state.usage, { promptTokens: 3, completionTokens: 2 })
    }
  })
})

describe('errors', () => {
  it('an error after content ends the passthrough before its event, wherever the stream is split', () => {
    const bytes = fixture('error-vllm.sse')
    const expected = renamed(bytes.subarray(0, bytes.indexOf('data: {"error"')))
    for (let at = 0; at <= bytes.length; at++) {
      const { out, state } = passPieces(cutAt(bytes, at))
      assert.equal(out, expected, `cut at ${at}`)
      assert.equal(state.failure?.causeCode, 'UPSTREAM_ERROR')
      assert.equal(state.ended, false)
      assert.doesNotMatch(state.failure?.message ?? '', /EngineCore/)
    }
  })

  it('errors are recognized in each of their forms', () => {
    const forms = [
      'data: {"error":"boom"}\n\n',
      'data: {"error" : {"message":"boom"}}\n\n',
      'data: {"object":"error","message":"boom"}\n\n',
      'event: error\ndata: boom\n\n',
      'event:error\r\ndata: {"message":"boom"}\r\n\r\n',
    ]
    for (const form of forms) {
      const { out, state } = passPieces([
        events(chunk({ content: 'a' })),
        Buffer.from(form),
        events('[DONE]'),
      ])
      assert.equal(state.failure?.causeCode, 'UPSTREAM_ERROR', form)
      assert.doesNotMatch(out, /boom|DONE/, form)
    }
  })

  it('the word error in a text, a null error and a nested error are passed on', () => {
    const bytes = events(
      { ...chunk({ content: 'event: error\n"error":{"a":1} data: [DONE]' }), error: null },
      { ...chunk({ content: 'error' }), choices_meta: { error: { code: 1 } } },
      chunk({}, 'stop'),
      '[DONE]',
    )
    const { out, state } = passPieces([bytes], { model: 'up' })
    assert.equal(out, bytes.toString())
    assert.equal(state.failure, undefined)
  })
})

describe('end of a stream', () => {
  it('bytes after the end marker are dropped', () => {
    const bytes = events(chunk({ content: 'a' }, 'stop'), '[DONE]')
    const { out } = passPieces([Buffer.concat([bytes, events(chunk({ content: 'b' }))]), events('[DONE]')], {
      model: 'up',
    })
    assert.equal(out, bytes.toString())
  })

  it('an end marker before any content is a failure and is not passed on', () => {
    const { out, state } = passPieces([events(chunk({ role: 'assistant', content: '' }), '[DONE]')])
    assert.equal(state.failure?.causeCode, 'TRUNCATED')
    assert.doesNotMatch(out, /DONE/)
  })

  it('a finished stream gets the end marker that its upstream omitted', () => {
    const bytes = events(chunk({ content: 'a' }), chunk({}, 'stop'))
    for (const cut of [0, 1, 2]) {
      const { out, state } = passPieces([bytes.subarray(0, bytes.length - cut)], { model: 'up' })
      assert.equal(out, `${bytes}data: [DONE]\n\n`, `${cut} line breaks missing`)
      assert.equal(state.ended, true)
    }
  })

  it('an end marker without its line breaks counts', () => {
    const bytes = events(chunk({ content: 'a' }), '[DONE]')
    const { out, state } = passPieces([bytes.subarray(0, bytes.length - 2)], { model: 'up' })
    assert.equal(out, bytes.toString())
    assert.equal(state.ended, true)
  })

  it('a stream with several choices is complete only once each has finished', () => {
    const one = events(chunk({ content: 'a' }, 'stop', 0), chunk({ content: 'b' }, null, 1))
    assert.equal(passPieces([one], { choices: 2 }).state.failure?.causeCode, 'TRUNCATED')
    const both = Buffer.concat([one, events(chunk({}, 'stop', 1))])
    assert.equal(passPieces([both], { choices: 2 }).state.ended, true)
  })

  it('an incomplete event after the last finish is dropped', () => {
    const bytes = events(chunk({ content: 'a' }, 'stop'))
    const { out, state } = passPieces([Buffer.concat([bytes, Buffer.from('data: {"usa')])], { model: 'up' })
    assert.equal(out, `${bytes}data: [DONE]\n\n`)
    assert.equal(state.ended, true)
  })
})
