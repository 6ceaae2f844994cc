import { type Behaviour, upstreamModel } from './scripted-upstream.ts'

const counts = {
  input_tokens: 9,
  cache_creation_input_tokens: 0,
  cache_read_input_tokens: 0,
  output_tokens: 3,
}

function message(content: readonly object[], stop_reason: string | null): object {
  return {
    id: 'msg_upstream',
    type: 'message',
    role: 'assistant',
    model: upstreamModel,
    content,
    stop_reason,
    stop_sequence: null,
    usage: counts,
  }
}

/** One server-sent event, named by its type. */
export function anthropicEvent(data: { type: string; [member: string]: unknown }): string {
  return `event: ${data.type}\ndata: ${JSON.stringify(data)}\n\n`
}

/** One response with these blocks; `rest` adds or overrides members. */
export function anthropicBlocks(
  content: readonly object[],
  stopReason = 'end_turn',
  rest: object = {},
): Behaviour {
  return { kind: 'reply', body: { ...message(content, stopReason), ...rest } }
}

export function anthropicText(text: string): Behaviour {
  return anthropicBlocks([{ type: 'text', text }])
}

export function anthropicToolCall(name: string, input: object): Behaviour {
  return anthropicBlocks([{ type: 'tool_use', id: 'toolu_up1', name, input }], 'tool_use')
}

export function anthropicError(
  status: number,
  type: string,
  text: string,
  headers: Record<string, string> = {},
): Behaviour {
  return { kind: 'reply', status, headers, body: { type: 'error', error: { type, message: text } } }
}

const head = anthropicEvent({ type: 'message_start', message: message([], null) })

function block(start: object, deltas: readonly object[]): string[] {
  return [
    anthropicEvent({ type: 'content_block_start', index: 0, content_block: start }),
    anthropicEvent({ type: 'ping' }),
    ...deltas.map((delta) => anthropicEvent({ type: 'content_block_delta', index: 0, delta })),
  ]
}

function end(stop_reason: string): string[] {
  return [
    anthropicEvent({ type: 'content_block_stop', index: 0 }),
    anthropicEvent({
      type: 'message_delta',
      delta: { stop_reason, stop_sequence: null },
      usage: { output_tokens: 3 },
    }),
    anthropicEvent({ type: 'message_stop' }),
  ]
}

/** A stream of these texts that is cut off before its end. */
export function anthropicBrokenStream(texts: readonly string[]): Behaviour {
  const deltas = texts.map((text) => ({ type: 'text_delta', text }))
  return { kind: 'stream', pieces: [head, ...block({ type: 'text', text: '' }, deltas)] }
}

export function anthropicStream(texts: readonly string[]): Behaviour {
  const deltas = texts.map((text) => ({ type: 'text_delta', text }))
  return { kind: 'stream', pieces: [head, ...block({ type: 'text', text: '' }, deltas), ...end('end_turn')] }
}

export function anthropicToolCallStream(name: string, pieces: readonly string[]): Behaviour {
  const deltas = pieces.map((partial_json) => ({ type: 'input_json_delta', partial_json }))
  const start = { type: 'tool_use', id: 'toolu_up1', name, input: {} }
  return { kind: 'stream', pieces: [head, ...block(start, deltas), ...end('tool_use')] }
}
