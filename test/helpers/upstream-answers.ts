import type { Behaviour, Script } from './upstream-script.ts'

/** The model name in the responses below; a router has to replace it. */
export const upstreamModel = 'upstream-model'

/** A fixed time, so that a test can check how the router converts it. */
export const upstreamCreated = 1_795_392_000

/** A server that lists one model, and answers each question with this text. */
export function openaiServer(text: string): Script {
  const list = { object: 'list', data: [{ id: 'm', owned_by: 'vllm', max_model_len: 1024 }] }
  return ({ method }) => (method === 'GET' ? { kind: 'reply', body: list } : openaiText(text))
}

/** One response in OpenAI form; `choice` and `message` add or override members. */
export function openaiText(text: string, message: object = {}, choice: object = {}): Behaviour {
  return {
    kind: 'reply',
    body: {
      id: 'chatcmpl-upstream',
      object: 'chat.completion',
      created: upstreamCreated,
      model: upstreamModel,
      choices: [
        {
          index: 0,
          message: { role: 'assistant', content: text, refusal: null, ...message },
          logprobs: null,
          finish_reason: 'stop',
          ...choice,
        },
      ],
      usage: { prompt_tokens: 9, completion_tokens: 3, total_tokens: 12 },
    },
  }
}

export function openaiToolCall(name: string, args: object, id = 'call_upstream1'): Behaviour {
  const call = { id, type: 'function', function: { name, arguments: JSON.stringify(args) } }
  return openaiText('', { content: null, tool_calls: [call] }, { finish_reason: 'tool_calls' })
}

export function openaiError(status: number, error: object, headers: Record<string, string> = {}): Behaviour {
  return { kind: 'reply', status, headers, body: { error } }
}

/** One server-sent event with one choice. */
export function openaiChunk(delta: object, finishReason: string | null = null): string {
  return openaiEvent({ choices: [{ index: 0, delta, logprobs: null, finish_reason: finishReason }] })
}

export function openaiUsageChunk(): string {
  return openaiEvent({
    choices: [],
    usage: { prompt_tokens: 9, completion_tokens: 3, total_tokens: 12 },
  })
}

export const openaiDone = 'data: [DONE]\n\n'

/** A complete stream: role, these texts, finish reason and, by default, the usage chunk. */
export function openaiStream(texts: readonly string[], options: { usage?: boolean } = {}): Behaviour {
  return {
    kind: 'stream',
    pieces: [
      openaiChunk({ role: 'assistant', content: '' }),
      ...texts.map((content) => openaiChunk({ content })),
      openaiChunk({}, 'stop'),
      ...(options.usage === false ? [] : [openaiUsageChunk()]),
      openaiDone,
    ],
  }
}

/** A stream that calls one tool, with its arguments in the given pieces. */
export function openaiToolCallStream(
  name: string,
  argumentPieces: readonly string[],
  id = 'call_upstream1',
): Behaviour {
  const part = (value: object) => openaiChunk({ tool_calls: [{ index: 0, ...value }] })
  return {
    kind: 'stream',
    pieces: [
      openaiChunk({ role: 'assistant', content: null }),
      part({ id, type: 'function', function: { name, arguments: '' } }),
      ...argumentPieces.map((piece) => part({ function: { arguments: piece } })),
      openaiChunk({}, 'tool_calls'),
      openaiDone,
    ],
  }
}

/** One response in Ollama form; `message` adds or overrides members. */
export function ollamaText(text: string, message: object = {}): Behaviour {
  return {
    kind: 'reply',
    body: { ...ollamaHead, message: { role: 'assistant', content: text, ...message }, ...ollamaEnd },
  }
}

export function ollamaToolCall(name: string, args: object): Behaviour {
  return ollamaText('', { tool_calls: [{ function: { name, arguments: args } }] })
}

/** Ollama's errors are plain strings. */
export function ollamaError(status: number, error: string): Behaviour {
  return { kind: 'reply', status, body: { error } }
}

/** One line of a stream; `rest` adds members beside the message. */
export function ollamaLine(message: object, rest: object = { done: false }): string {
  return `${JSON.stringify({ ...ollamaHead, message: { role: 'assistant', content: '', ...message }, ...rest })}\n`
}

export function ollamaDone(message: object = {}): string {
  return ollamaLine(message, ollamaEnd)
}

export function ollamaStream(texts: readonly string[]): Behaviour {
  return ollamaPieces([...texts.map((content) => ollamaLine({ content })), ollamaDone()])
}

/** Ollama sends a call in one piece, and without an id in its older versions. */
export function ollamaToolCallStream(name: string, args: object): Behaviour {
  return ollamaPieces([ollamaLine({ tool_calls: [{ function: { name, arguments: args } }] }), ollamaDone()])
}

export function ollamaPieces(pieces: readonly string[]): Behaviour {
  return { kind: 'stream', headers: { 'content-type': 'application/x-ndjson' }, pieces }
}

const ollamaHead = { model: upstreamModel, created_at: '2026-11-23T00:00:00.123456789Z' }

const ollamaEnd = {
  done: true,
  done_reason: 'stop',
  total_duration: 900_000_000,
  load_duration: 100_000_000,
  prompt_eval_count: 9,
  prompt_eval_duration: 200_000_000,
  eval_count: 3,
  eval_duration: 500_000_000,
}

export function openaiEvent(rest: object): string {
  return `data: ${JSON.stringify({
    id: 'chatcmpl-upstream',
    object: 'chat.completion.chunk',
    created: upstreamCreated,
    model: upstreamModel,
    ...rest,
  })}\n\n`
}
