import assert from 'node:assert/strict'
import { isObject, objectsIn, textOf } from '../../src/lib/json/read.ts'
import { eventsIn } from '../helpers/events-in.ts'
import { post, type RawAnswer } from '../helpers/http.ts'

/** What a client reads from a response, whatever its dialect. */
export interface ReceivedAnswer {
  text: string
  reasoning: string
  call: string
  raw: RawAnswer
}

export const clientDialects = ['openai', 'anthropic', 'gemini', 'ollama', 'responses'] as const
export type ClientDialect = (typeof clientDialects)[number]

interface AskOptions {
  stream: boolean
  model?: string
  more?: Record<string, unknown>
  headers?: Record<string, string>
}

/** Sends a request with one message in a dialect. */
export async function askIn(
  dialect: ClientDialect,
  url: string,
  text: string,
  { stream, model = 'm', more = {}, headers = {} }: AskOptions,
): Promise<ReceivedAnswer> {
  const { path, body } = requestIn(dialect, text, { stream, model })
  const raw = await post(
    `${url}${path}`,
    { ...body, ...more },
    { 'content-type': 'application/json', ...headers },
  )
  assert.equal(raw.status, 200, raw.text)
  return { ...readers[dialect](raw.text, stream), raw }
}

export function requestIn(
  dialect: ClientDialect,
  text: string,
  { stream, model = 'm' }: { stream: boolean; model?: string },
): { path: string; body: Record<string, unknown> } {
  const messages = [{ role: 'user', content: text }]
  switch (dialect) {
    case 'openai':
      return { path: '/v1/chat/completions', body: { model, stream, messages } }
    case 'anthropic':
      return { path: '/v1/messages', body: { model, stream, max_tokens: 100, messages } }
    case 'ollama':
      return { path: '/api/chat', body: { model, stream, messages } }
    case 'responses':
      return { path: '/v1/responses', body: { model, stream, input: text } }
    case 'gemini': {
      const method = stream ? 'streamGenerateContent?alt=sse' : 'generateContent'
      return {
        path: `/v1beta/models/${model}:${method}`,
        body: { contents: [{ role: 'user', parts: [{ text }] }] },
      }
    }
  }
}

/** Asserts that a response ends as one that a filter has stopped. */
export function endOf(dialect: ClientDialect, answer: string, stream: boolean): void {
  const events = stream ? eventsIn(answer) : [JSON.parse(answer)]
  const last = events.at(-1)
  switch (dialect) {
    case 'openai':
      assert.equal(objectsIn(last.choices)[0]?.finish_reason, 'content_filter')
      if (stream) assert.match(answer, /data: \[DONE\]\n\n$/)
      return
    case 'anthropic': {
      const end = stream ? events.at(-2) : last
      if (stream) assert.equal(last.type, 'message_stop')
      assert.equal((isObject(end?.delta) ? end.delta : end)?.stop_reason, 'refusal')
      if (stream) assert.deepEqual(openBlocks(events), [])
      return
    }
    case 'gemini':
      assert.equal(objectsIn(last.candidates)[0]?.finishReason, 'SAFETY')
      return
    case 'ollama':
      assert.match(String(last.error), /blocked by 'guardrail'/)
      return
    case 'responses': {
      if (stream) assert.equal(last.type, 'response.incomplete')
      const response = stream ? last.response : last
      assert.ok(isObject(response))
      assert.deepEqual(
        [response.status, response.incomplete_details],
        ['incomplete', { reason: 'content_filter' }],
      )
      if (!stream) return
      assert.deepEqual(
        events.map((event) => event.sequence_number),
        [...events.keys()],
      )
      const count = (type: string): number =>
        events.filter((event) => event.type === `response.${type}`).length
      for (const part of ['output_item', 'content_part'])
        assert.equal(count(`${part}.added`), count(`${part}.done`))
    }
  }
}

function openBlocks(events: readonly Record<string, unknown>[]): unknown[] {
  const of = (type: string): unknown[] =>
    events.filter((event) => event.type === type).map(({ index }) => index)
  const stopped = of('content_block_stop')
  return of('content_block_start').filter((index) => !stopped.includes(index))
}

type Said = Omit<ReceivedAnswer, 'raw'>

function said(): Said {
  return { text: '', reasoning: '', call: '' }
}

const readers: Record<ClientDialect, (answer: string, stream: boolean) => Said> = {
  openai(answer, stream) {
    const received = said()
    const add = (message: unknown): void => {
      if (!isObject(message)) return
      received.text += textOf(message.content) ?? ''
      received.reasoning += textOf(message.reasoning_content) ?? ''
      for (const call of objectsIn(message.tool_calls))
        received.call += isObject(call.function) ? (textOf(call.function.arguments) ?? '') : ''
    }
    for (const event of stream ? eventsIn(answer) : [JSON.parse(answer)])
      for (const choice of objectsIn(event.choices)) add(stream ? choice.delta : choice.message)
    return received
  },
  anthropic(answer, stream) {
    const received = said()
    if (stream)
      for (const { type, delta } of eventsIn(answer)) {
        if (type !== 'content_block_delta' || !isObject(delta)) continue
        received.text += textOf(delta.text) ?? ''
        received.reasoning += textOf(delta.thinking) ?? ''
        received.call += textOf(delta.partial_json) ?? ''
      }
    else
      for (const block of objectsIn(JSON.parse(answer).content)) {
        received.text += textOf(block.text) ?? ''
        received.reasoning += textOf(block.thinking) ?? ''
        if (block.type === 'tool_use') received.call += JSON.stringify(block.input)
      }
    return received
  },
  gemini(answer, stream) {
    const received = said()
    for (const event of stream ? eventsIn(answer) : [JSON.parse(answer)])
      for (const { content } of objectsIn(event.candidates))
        for (const part of isObject(content) ? objectsIn(content.parts) : []) {
          if (part.thought === true) received.reasoning += textOf(part.text) ?? ''
          else received.text += textOf(part.text) ?? ''
          if (isObject(part.functionCall)) received.call += JSON.stringify(part.functionCall.args)
        }
    return received
  },
  ollama(answer, stream) {
    const received = said()
    for (const { message } of stream ? eventsIn(answer) : [JSON.parse(answer)]) {
      if (!isObject(message)) continue
      received.text += textOf(message.content) ?? ''
      received.reasoning += textOf(message.thinking) ?? ''
      for (const call of objectsIn(message.tool_calls))
        received.call += isObject(call.function) ? JSON.stringify(call.function.arguments) : ''
    }
    return received
  },
  responses(answer, stream) {
    const received = said()
    if (stream)
      for (const event of eventsIn(answer)) {
        const delta = textOf(event.delta) ?? ''
        if (event.type === 'response.output_text.delta') received.text += delta
        if (event.type === 'response.function_call_arguments.delta') received.call += delta
        if (event.type === 'response.reasoning_summary_text.delta') received.reasoning += delta
      }
    else
      for (const item of objectsIn(JSON.parse(answer).output)) {
        if (item.type === 'message')
          for (const part of objectsIn(item.content)) received.text += textOf(part.text) ?? ''
        if (item.type === 'function_call') received.call += textOf(item.arguments) ?? ''
        if (item.type === 'reasoning')
          for (const part of objectsIn(item.summary)) received.reasoning += textOf(part.text) ?? ''
      }
    return received
  },
}
