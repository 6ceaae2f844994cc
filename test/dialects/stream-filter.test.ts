import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { anthropic } from '../../src/dialects/anthropic/index.ts'
import { ollama } from '../../src/dialects/ollama/index.ts'
import { openai } from '../../src/dialects/openai/index.ts'
import { responses } from '../../src/dialects/responses/index.ts'
import { maxEventBytes } from '../../src/dialects/shared/stream-filter.ts'
import type { ChatPassthrough, Dialect } from '../../src/sdk/dialect.ts'

interface Row {
  dialect: Dialect
  /** Events before the text. */
  head: readonly object[]
  text(value: string): object
  /** The last events, without OpenAI's end marker. */
  finish: readonly object[]
  /** What the upstream sends after them, unchanged. */
  mark: string
  error: object
}

const counts = { input_tokens: 9, output_tokens: 4 }
const model = 'up-7b'
const rows: readonly Row[] = [
  {
    dialect: openai,
    head: [{ id: 'x', model, choices: [{ index: 0, delta: { role: 'assistant', content: '' } }] }],
    text: (content) => ({ id: 'x', model, choices: [{ index: 0, delta: { content }, finish_reason: null }] }),
    finish: [
      { id: 'x', model, choices: [{ index: 0, delta: {}, finish_reason: 'stop' }] },
      { id: 'x', model, choices: [], usage: { prompt_tokens: 9, completion_tokens: 4 } },
    ],
    mark: 'data: [DONE]\n\n',
    error: { error: { message: 'boom' } },
  },
  {
    dialect: anthropic,
    head: [{ type: 'message_start', message: { id: 'm', model, usage: { input_tokens: 9 } } }],
    text: (text) => ({ type: 'content_block_delta', index: 0, delta: { type: 'text_delta', text } }),
    finish: [
      { type: 'message_delta', delta: { stop_reason: 'end_turn' }, usage: { output_tokens: 4 } },
      { type: 'message_stop' },
    ],
    mark: '',
    error: { type: 'error', error: { type: 'api_error', message: 'boom' } },
  },
  {
    dialect: ollama,
    head: [],
    text: (content) => ({ model, created_at: '2026', message: { role: 'assistant', content }, done: false }),
    finish: [{ model, message: { content: '' }, done: true, prompt_eval_count: 9, eval_count: 4 }],
    mark: '',
    error: { error: 'boom' },
  },
  {
    dialect: responses,
    head: [{ type: 'response.created', sequence_number: 0, response: { id: 'r', model, output: [] } }],
    text: (delta) => ({ type: 'response.output_text.delta', sequence_number: 1, delta }),
    finish: [{ type: 'response.completed', sequence_number: 2, response: { id: 'r', model, usage: counts } }],
    mark: '',
    error: { type: 'error', message: 'boom' },
  },
]

interface Passed {
  out: string
  state: ChatPassthrough['state']
}

function pass({ dialect }: Row, pieces: readonly (Buffer | string)[], options = {}): Passed {
  const filter = dialect.chat.createPassthrough({ model: 'alias', stripUsage: false, choices: 1, ...options })
  const out = [...pieces.map((piece) => filter.push(Buffer.from(piece))), filter.end()]
  return { out: Buffer.concat(out.filter((bytes) => bytes !== undefined)).toString(), state: filter.state }
}

const renamed = (text: string): string => text.replaceAll(`"model":"${model}"`, '"model":"alias"')
const isLines = ({ dialect }: Row): boolean => dialect === ollama

for (const row of rows) {
  const { dialect, head, text, finish, mark, error } = row
  const written = (...events: object[]): string =>
    events
      .map((event) => (isLines(row) ? `${JSON.stringify(event)}\n` : `data: ${JSON.stringify(event)}\n\n`))
      .join('')
  const begun = written(...head, text('zażółć "model":"up-7b" error'), text('b'))
  const whole = begun + written(...finish) + mark
  const lineEnds = isLines(row) ? ['\n', '\r\n'] : ['\n', '\r\n', '\r']

  describe(`a stream of ${dialect.name}`, () => {
    test('keeps every byte except the model name, split anywhere, with any line ending', () => {
      for (const lineEnd of lineEnds) {
        const bytes = Buffer.from(whole.replaceAll('\n', lineEnd))
        const expected = renamed(bytes.toString())
        assert.notEqual(expected, bytes.toString())
        const splits = Array.from(bytes, (_, at) => [bytes.subarray(0, at), bytes.subarray(at)])
        for (const pieces of [...splits, Array.from(bytes, (_, at) => bytes.subarray(at, at + 1))]) {
          const { out, state } = pass(row, pieces)
          assert.equal(out, expected)
          assert.deepEqual(
            [
              state.content,
              state.ended,
              state.failure,
              state.usage?.promptTokens,
              state.usage?.completionTokens,
            ],
            [true, true, undefined, 9, 4],
          )
        }
      }
    })

    test('may mix line endings', () => {
      const [first = '', ...others] = lineEnds.toReversed()
      const mixed = begun.replaceAll('\n', first) + others.map((end) => begun.replaceAll('\n', end)).join('')
      const bytes = Buffer.from(mixed + written(...finish) + mark)
      for (let at = 0; at <= bytes.length; at++) {
        const { out, state } = pass(row, [bytes.subarray(0, at), bytes.subarray(at)])
        assert.equal(out, renamed(bytes.toString()), `split at ${at}`)
        assert.equal(state.ended, true)
      }
    })

    test('has its byte order mark removed, wherever it is split', () => {
      const bytes = Buffer.from(`\ufeff${whole}`)
      for (let at = 0; at <= 5; at++) {
        assert.equal(
          pass(row, [bytes.subarray(0, at), bytes.subarray(at)]).out,
          renamed(whole),
          `split at ${at}`,
        )
      }
    })

    test('gets the last line break that its upstream omitted', () => {
      const { out, state } = pass(row, [whole.trimEnd()])
      assert.equal(out, renamed(whole))
      assert.equal(state.ended, true)
    })

    test('is truncated without its end, and none of the incomplete event is sent', () => {
      const cut = written(text('cut')).slice(0, -8)
      const { out, state } = pass(row, [begun, cut], { choices: 1 })
      assert.equal(out, renamed(begun))
      assert.deepEqual([state.ended, state.failure?.causeCode], [false, 'TRUNCATED'])
    })

    test('ends at its end marker, and nothing after it is sent', () => {
      assert.equal(pass(row, [whole + begun, begun]).out, renamed(whole))
    })

    test('fails at an error event, which is not sent, wherever it is split', () => {
      const bytes = Buffer.from(begun + written(error, text('after'), ...finish) + mark)
      for (let at = 0; at <= bytes.length; at++) {
        const { out, state } = pass(row, [bytes.subarray(0, at), bytes.subarray(at)])
        assert.equal(out, renamed(begun), `split at ${at}`)
        assert.deepEqual([state.ended, state.failure?.causeCode], [false, 'UPSTREAM_ERROR'])
        assert.doesNotMatch(state.failure?.message ?? '', /boom/)
      }
    })

    test('fails at an event that is not an object, before and after content', () => {
      for (const garbage of ['<html>', '[1]', '"text"', '{"cut":']) {
        const event = isLines(row) ? `${garbage}\n` : `data: ${garbage}\n\n`
        for (const [before, expected] of [
          ['', ''],
          [begun, renamed(begun)],
        ] as const) {
          const { out, state } = pass(row, [before, event, written(text('after'))])
          assert.equal(out, expected, garbage)
          assert.equal(state.failure?.causeCode, 'BAD_ANSWER', garbage)
        }
      }
    })

    test('never reveals the upstream’s model name, however events are formatted', () => {
      const late = { extra: { model: 'inner' }, ...text('a') }
      const { out } = pass(row, [written(...head, text('a'), late, ...head, ...finish) + mark])
      assert.doesNotMatch(out, /up-7b/)
      assert.match(out, /"extra":\{"model":"inner"\}/)
      if (isLines(row)) return
      const pretty = (event: object): string =>
        `data: ${JSON.stringify(event, null, 1).replaceAll('\n', '\ndata: ')}\n\n`
      const lines = [...head, text('a'), ...finish].map(pretty).join('') + mark
      const { out: spread, state } = pass(row, [lines])
      assert.equal(spread, lines.replaceAll(`"model": "${model}"`, '"model": "alias"'))
      assert.equal(state.ended, true)
    })

    test('may have an event of several megabytes, which is still read', () => {
      const long = written(text('x'.repeat(3_000_000)), ...finish)
      const bytes = Buffer.from(long + mark)
      const pieces = Array.from({ length: Math.ceil(bytes.length / 10_000) }, (_, at) =>
        bytes.subarray(at * 10_000, (at + 1) * 10_000),
      )
      const { out, state } = pass(row, pieces)
      assert.ok(out === renamed(long + mark))
      assert.equal(state.usage?.completionTokens, 4)
    })

    test('passes an event over the size limit in pieces, and can end it if it breaks off', () => {
      const piece = Buffer.alloc(1024 * 1024, 'x')
      const [start = '', behind = ''] = written(text('|')).split('|')
      const filter = dialect.chat.createPassthrough({ model: 'alias', stripUsage: false, choices: 1 })
      filter.push(Buffer.from(begun + start))
      let passed = 0
      for (let sent = 0; sent < maxEventBytes + 2 * piece.length; sent += piece.length) {
        passed += filter.push(piece)?.length ?? 0
      }
      assert.ok(passed > maxEventBytes)
      assert.equal(filter.closeEvent?.(), isLines(row) ? '\n' : '\n\n')
      assert.equal(filter.push(Buffer.from(behind))?.toString(), behind)
      assert.equal(filter.closeEvent?.(), '')
      assert.equal(
        filter.push(Buffer.from(written(...finish) + mark))?.toString(),
        renamed(written(...finish) + mark),
      )
      assert.equal(filter.state.ended, true)
    })

    test('fails at an event over the size limit that would have to be read', () => {
      const start = written(error).split('boom')[0] ?? ''
      const filter = dialect.chat.createPassthrough({ model: 'alias', stripUsage: false, choices: 1 })
      filter.push(Buffer.from(begun + start))
      for (let sent = 0; sent <= maxEventBytes; sent += 1024 * 1024) {
        assert.equal(filter.push(Buffer.alloc(1024 * 1024, 'x')), undefined)
      }
      assert.equal(filter.state.failure?.causeCode, 'BAD_ANSWER')
    })

    test('withholds token counts from the client only if just the router requested them', () => {
      const { out, state } = pass(row, [whole], { stripUsage: true })
      assert.equal(state.usage?.completionTokens, 4)
      const kept = begun + written(...finish.slice(0, 1)) + mark
      assert.equal(out, renamed(dialect === openai ? kept : whole))
    })
  })
}

test('events that begin differently and arrive together keep every byte except the model name', () => {
  const [row] = rows
  assert.ok(row)
  const event = (data: object): string => `data: ${JSON.stringify(data)}\n\n`
  const early = event(row.text('a'))
  const late = event({ choices: [{ index: 0, delta: { content: `"model":"${model}"` } }], id: 'x', model })
  const finish = event({ id: 'x', model, choices: [{ index: 0, delta: {}, finish_reason: 'stop' }] })
  const bytes = early + early + late + late + early + finish + late + early
  for (const lineEnd of ['\n', '\r\n', '\r', '\n\r']) {
    const emptyLine = lineEnd === '\n\r' ? lineEnd : lineEnd + lineEnd
    const events = [bytes, late + early, late + late, late]
    const pieces: string[] = [...events.map((piece) => piece.replaceAll('\n\n', emptyLine)), row.mark]
    for (const received of [pieces, [pieces.join('')]]) {
      const { out, state } = pass(row, received)
      assert.equal(out, renamed(pieces.join('')))
      assert.equal(state.ended, true)
    }
  }
})

test('token counts in every OpenAI event are passed on, and the last ones are used', () => {
  const [row] = rows
  assert.ok(row)
  const running = (count: number): string =>
    `data: ${JSON.stringify({ ...row.text('a'), usage: { prompt_tokens: 1, completion_tokens: count } })}\n\n`
  const bytes = running(1) + running(2) + running(3) + row.mark
  for (const pieces of [[bytes], bytes.split(/(?<=\n\n)/)]) {
    const { out, state } = pass(row, pieces, { stripUsage: true })
    assert.equal(out, renamed(bytes))
    assert.deepEqual(state.usage, { promptTokens: 1, completionTokens: 3 })
  }
})

test('a response that the engine of an OpenAI server aborted is a failure, not an end', () => {
  const [row] = rows
  assert.ok(row)
  const choice = { index: 0, delta: {}, finish_reason: 'abort' }
  const { out, state } = pass(row, [
    `data: ${JSON.stringify(row.text('a'))}\n\n`,
    `data: ${JSON.stringify({ model, choices: [choice] })}\n\n${row.mark}`,
  ])
  assert.equal(state.failure?.causeCode, 'UPSTREAM_ABORTED')
  assert.doesNotMatch(out, /abort|DONE/)
})
