import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { fixture, passPieces } from './replay.ts'

/** One event of a server that begins each event the same way. */
function event(delta: object, rest = '"finish_reason":null}]'): string {
  return `data: {"id":"x","model":"up","choices":[{"index":0,"delta":${JSON.stringify(delta)},${rest}}\n\n`
}

const said = event({ content: 'a' })
/** The prefix is known after the first event and used after the second. */
const before = [said, said, said]
const done = 'data: [DONE]\n\n'

function pass(
  texts: readonly string[],
  options: { model?: string; stripUsage?: boolean } = {},
): ReturnType<typeof passPieces> {
  return passPieces(
    texts.map((text) => Buffer.from(text)),
    options,
  )
}

const renamed = (texts: readonly string[]): string =>
  texts.join('').replaceAll('"model":"up"', '"model":"alias"')

describe('events that arrive one per chunk', () => {
  for (const name of ['text.sse', 'reasoning.sse', 'tools.sse', 'two-choices.sse', 'refusal.sse']) {
    it(`${name} is passed on as if it arrived in one piece`, () => {
      const bytes = fixture(name)
      const options = { choices: name === 'two-choices.sse' ? 2 : 1 }
      const single = bytes.toString().split(/(?<=\n\n)/)
      const pairs = single.flatMap((one, at) => (at % 2 === 0 ? [one + (single[at + 1] ?? '')] : []))
      const whole = passPieces([bytes], options)
      for (const texts of [single, pairs]) {
        const pieces = texts.map((text) => Buffer.from(text))
        assert.deepEqual(passPieces(pieces, options), whole)
      }
    })
  }

  it('multi-byte characters are kept, split between two chunks or not', () => {
    const texts = [...before, event({ content: '\u00e9\u20ac\u{1f600}' }), done]
    assert.equal(pass(texts).out, renamed(texts))
  })

  it('an upstream with the same model name keeps every byte', () => {
    const texts = [...before, said, done]
    assert.equal(pass(texts, { model: 'up' }).out, texts.join(''))
  })

  it('a member `model` of a nested object is unchanged', () => {
    const inner = event({ content: 'a' }, '"x":{"model":"up"}}]')
    const expected = inner.replace('"model":"up"', '"model":"alias"')
    assert.equal(pass([...before, inner, done]).out, renamed(before) + expected + done)
  })

  it('the model is replaced in both events of one chunk', () => {
    const texts = [...before, said + said, done]
    assert.equal(pass(texts).out, renamed(texts))
  })

  it('the model is replaced in an event that begins differently', () => {
    const other = said.replace('"id":"x"', '"id":"y"')
    const texts = [...before, other, said, other, said, ...Array<string>(40).fill(other), said, done]
    assert.equal(pass(texts).out, renamed(texts))
  })

  it('an event that arrives with a fragment of the next one is not passed on in part', () => {
    const texts = [...before, said + said.slice(0, 20), said.slice(20), done]
    assert.equal(pass(texts).out, renamed(texts))
    const cutOff = pass([...before, said.slice(0, 60)])
    assert.equal(cutOff.out, renamed(before))
    assert.equal(cutOff.state.failure?.causeCode, 'TRUNCATED')
  })
})

describe('events with the same prefix that must be examined', () => {
  it('an error ends the stream and is not passed on', () => {
    const { out, state } = pass([
      ...before,
      event({}, '"finish_reason":null}],"error":{"message":"broken"}'),
      said,
    ])
    assert.equal(out, renamed(before))
    assert.notEqual(state.failure, undefined)
  })

  it('the word error in a text is not an error', () => {
    const texts = [...before, event({ content: 'an error, "error": {}' }), done]
    const { out, state } = pass(texts)
    assert.equal(out, renamed(texts))
    assert.equal(state.ended, true)
  })

  it('a finish reason is noticed, so a stream without an end marker is complete', () => {
    const texts = [...before, event({}, '"finish_reason": "stop"}]')]
    const { out, state } = pass(texts)
    assert.equal(out, renamed(texts) + done)
    assert.equal(state.ended, true)
  })

  it('an end marker in the same chunk ends the stream', () => {
    const texts = [...before, said + done]
    const { out, state } = pass([...texts, said])
    assert.equal(out, renamed(texts))
    assert.equal(state.ended, true)
  })

  it('token counts are read, and removed if only the router requested them', () => {
    const counts =
      'data: {"id":"x","model":"up","choices":[],"usage" : {"prompt_tokens":9,"completion_tokens":4}}\n\n'
    const withNull = event({ content: 'b' }, '"finish_reason":null}],"usage":null')
    const { out, state } = pass([...before, withNull, counts, done], { stripUsage: true })
    assert.equal(out, renamed([...before, withNull, done]))
    assert.deepEqual(state.usage, { promptTokens: 9, completionTokens: 4 })
  })
})
