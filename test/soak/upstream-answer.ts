import { isObject } from '../../src/lib/json/read.ts'
import { ollamaDone, ollamaLine, openaiChunk, openaiDone } from '../helpers/upstream-answers.ts'
import type { Marker } from './marker.ts'

interface UpstreamRequest {
  path: string
  body: string
  marker: Marker
  readsImages: boolean | undefined
}

interface UpstreamAnswer {
  status: number
  headers: Record<string, string>
  /** Sent one after the other, with pauses; none: no response at all. */
  parts: string[]
}

/** What a healthy server makes of a request: an answer that repeats the marker, or what the poison asks for. */
export function answerTo({ path, body, marker, readsImages }: UpstreamRequest): UpstreamAnswer {
  const request: unknown = JSON.parse(body)
  const stream = isObject(request) && request.stream === true
  const hasImage = body.includes('image_url')
  if (hasImage && readsImages === false)
    return json(500, { error: { code: 500, message: 'image input is not supported - hint: mmproj' } })
  switch (marker.kind) {
    case 'all-500':
      return json(500, { error: { message: `template failed for ${marker.text}` } })
    case 'all-401':
    case 'all-402':
    case 'all-403':
    case 'all-404':
      return json(Number(marker.kind.slice(4)), { error: { message: 'refused by a firewall' } })
    case 'too-large':
      return json(429, {
        error: { message: 'Request too large: limit 30000, requested 90000', code: 'rate_limit_exceeded' },
      })
    case 'no-operation':
      return json(404, { detail: 'Not Found' })
    case 'endless':
      return { status: 200, headers: {}, parts: [] }
    case 'cut-call':
      return toolCall({ type: 'function', function: { name: 'f', arguments: '{"a": "b' } }, 'length', stream)
    case 'odd-call':
      return toolCall({ type: 'custom', custom: { name: 'f', input: '{{' } }, 'tool_calls', stream)
    case 'repeating':
      return lines([ollamaLine({ content: 'la la la' })])
    default:
      return goodAnswer(path, marker.text, stream)
  }
}

function goodAnswer(path: string, text: string, stream: boolean): UpstreamAnswer {
  if (path.endsWith('/embeddings')) {
    // A vector has no words: it contains the number of the marker.
    const embedding = [Number(/\d+/.exec(text)?.[0]), 0.5]
    const data = [{ object: 'embedding', index: 0, embedding }]
    return json(200, { object: 'list', model: 'm', data, usage: { prompt_tokens: 1, total_tokens: 1 } })
  }
  const halves = [text.slice(0, 4), text.slice(4)]
  if (path === '/api/chat' && !stream) return json(200, JSON.parse(ollamaDone({ content: text })))
  if (path === '/api/chat') return lines([...halves.map((content) => ollamaLine({ content })), ollamaDone()])
  if (!stream) return json(200, completion({ role: 'assistant', content: text }, 'stop'))
  return events([...halves.map((content) => openaiChunk({ content })), openaiChunk({}, 'stop') + openaiDone])
}

function toolCall(call: object, finish: string, stream: boolean): UpstreamAnswer {
  const calls = [{ id: 'call_1', index: 0, ...call }]
  if (!stream) return json(200, completion({ role: 'assistant', content: null, tool_calls: calls }, finish))
  return events([openaiChunk({ tool_calls: calls }), openaiChunk({}, finish) + openaiDone])
}

function completion(message: object, finish: string): object {
  const choices = [{ index: 0, message, finish_reason: finish }]
  return { id: 'x', object: 'chat.completion', created: 1, model: 'm', choices }
}

function json(status: number, body: object): UpstreamAnswer {
  return { status, headers: { 'content-type': 'application/json' }, parts: [JSON.stringify(body)] }
}

function events(parts: string[]): UpstreamAnswer {
  return { status: 200, headers: { 'content-type': 'text/event-stream' }, parts }
}

function lines(parts: string[]): UpstreamAnswer {
  return { status: 200, headers: { 'content-type': 'application/x-ndjson' }, parts }
}
