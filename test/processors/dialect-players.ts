import assert from 'node:assert/strict'
import { isObject, objectsIn, parseObject, textOf } from '../../src/lib/json/read.ts'
import { post, type RawAnswer } from '../helpers/http.ts'

/** What a client reads of an answer, whatever its dialect. */
export interface Heard {
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

/** Asks with one message in a dialect. */
export async function askIn(
  dialect: ClientDialect,
  url: string,
  text: string,
  { stream, model = 'm', more = {}, headers = {} }: AskOptions,
): Promise<Heard> {
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

type Said = Omit<Heard, 'raw'>

/** The JSON of each event. */
export function eventsIn(text: string): Record<string, unknown>[] {
  return text.split('\n').flatMap((line) => {
    const found = parseObject(line.replace(/^data: ?/, ''))
    return found ? [found] : []
  })
}

function said(): Said {
  return { text: '', reasoning: '', call: '' }
}

const readers: Record<ClientDialect, (answer: string, stream: boolean) => Said> = {
  openai(answer, stream) {
    const heard = said()
    const add = (message: unknown): void => {
      if (!isObject(message)) return
      heard.text += textOf(message.content) ?? ''
      heard.reasoning += textOf(message.reasoning_content) ?? ''
      for (const call of objectsIn(message.tool_calls))
        heard.call += isObject(call.function) ? (textOf(call.function.arguments) ?? '') : ''
    }
    for (const event of stream ? eventsIn(answer) : [JSON.parse(answer)])
      for (const choice of objectsIn(event.choices)) add(stream ? choice.delta : choice.message)
    return heard
  },
  anthropic(answer, stream) {
    const heard = said()
    if (stream)
      for (const { type, delta } of eventsIn(answer)) {
        if (type !== 'content_block_delta' || !isObject(delta)) continue
        heard.text += textOf(delta.text) ?? ''
        heard.reasoning += textOf(delta.thinking) ?? ''
        heard.call += textOf(delta.partial_json) ?? ''
      }
    else
      for (const block of objectsIn(JSON.parse(answer).content)) {
        heard.text += textOf(block.text) ?? ''
        heard.reasoning += textOf(block.thinking) ?? ''
        if (block.type === 'tool_use') heard.call += JSON.stringify(block.input)
      }
    return heard
  },
  gemini(answer, stream) {
    const heard = said()
    for (const event of stream ? eventsIn(answer) : [JSON.parse(answer)])
      for (const { content } of objectsIn(event.candidates))
        for (const part of isObject(content) ? objectsIn(content.parts) : []) {
          if (part.thought === true) heard.reasoning += textOf(part.text) ?? ''
          else heard.text += textOf(part.text) ?? ''
          if (isObject(part.functionCall)) heard.call += JSON.stringify(part.functionCall.args)
        }
    return heard
  },
  ollama(answer, stream) {
    const heard = said()
    for (const { message } of stream ? eventsIn(answer) : [JSON.parse(answer)]) {
      if (!isObject(message)) continue
      heard.text += textOf(message.content) ?? ''
      heard.reasoning += textOf(message.thinking) ?? ''
      for (const call of objectsIn(message.tool_calls))
        heard.call += isObject(call.function) ? JSON.stringify(call.function.arguments) : ''
    }
    return heard
  },
  responses(answer, stream) {
    const heard = said()
    if (stream)
      for (const event of eventsIn(answer)) {
        const delta = textOf(event.delta) ?? ''
        if (event.type === 'response.output_text.delta') heard.text += delta
        if (event.type === 'response.function_call_arguments.delta') heard.call += delta
        if (event.type === 'response.reasoning_summary_text.delta') heard.reasoning += delta
      }
    else
      for (const item of objectsIn(JSON.parse(answer).output)) {
        if (item.type === 'message')
          for (const part of objectsIn(item.content)) heard.text += textOf(part.text) ?? ''
        if (item.type === 'function_call') heard.call += textOf(item.arguments) ?? ''
        if (item.type === 'reasoning')
          for (const part of objectsIn(item.summary)) heard.reasoning += textOf(part.text) ?? ''
      }
    return heard
  },
}
