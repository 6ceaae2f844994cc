/** How an upstream responds in the benchmark. */
export interface Answer {
  mediaType: string
  /** One piece is a complete response with a length; several are sent one at a time, at a model's pace. */
  pieces: readonly string[]
}

const contentEvents = 200
const word = ' token'

/** About half a kilobyte. */
export const openaiWhole: Answer = {
  mediaType: 'application/json',
  pieces: [
    JSON.stringify({
      id: 'chatcmpl-0123456789abcdef01234567',
      object: 'chat.completion',
      created: 1_795_392_000,
      model: 'served/model-8b',
      choices: [
        {
          index: 0,
          message: { role: 'assistant', content: word.repeat(28), refusal: null },
          logprobs: null,
          finish_reason: 'stop',
        },
      ],
      usage: { prompt_tokens: 200, completion_tokens: 28, total_tokens: 228 },
    }),
  ],
}

export const openaiStream: Answer = {
  mediaType: 'text/event-stream',
  pieces: [
    openaiEvent([{ index: 0, delta: { role: 'assistant', content: '' }, finish_reason: null }]),
    ...repeated(openaiEvent([{ index: 0, delta: { content: word }, logprobs: null, finish_reason: null }])),
    openaiEvent([{ index: 0, delta: {}, logprobs: null, finish_reason: 'stop' }]),
    openaiEvent([], { usage: { prompt_tokens: 200, completion_tokens: 200, total_tokens: 400 } }),
    'data: [DONE]\n\n',
  ],
}

export const ollamaStream: Answer = {
  mediaType: 'application/x-ndjson',
  pieces: [
    ...repeated(ollamaLine(word, { done: false })),
    ollamaLine('', {
      done: true,
      done_reason: 'stop',
      total_duration: 900_000_000,
      load_duration: 100_000_000,
      prompt_eval_count: 200,
      prompt_eval_duration: 200_000_000,
      eval_count: 200,
      eval_duration: 500_000_000,
    }),
  ],
}

export const anthropicStream: Answer = {
  mediaType: 'text/event-stream',
  pieces: [
    anthropicEvent('message_start', {
      message: {
        id: 'msg_0123456789',
        type: 'message',
        role: 'assistant',
        model: 'served/model-8b',
        content: [],
        stop_reason: null,
        stop_sequence: null,
        usage: { input_tokens: 200, output_tokens: 1 },
      },
    }),
    anthropicEvent('content_block_start', { index: 0, content_block: { type: 'text', text: '' } }),
    ...repeated(
      anthropicEvent('content_block_delta', { index: 0, delta: { type: 'text_delta', text: word } }),
    ),
    anthropicEvent('content_block_stop', { index: 0 }),
    anthropicEvent('message_delta', {
      delta: { stop_reason: 'end_turn', stop_sequence: null },
      usage: { output_tokens: 200 },
    }),
    anthropicEvent('message_stop', {}),
  ],
}

function repeated(piece: string): string[] {
  return Array.from({ length: contentEvents }, () => piece)
}

function openaiEvent(choices: object[], rest: object = {}): string {
  return `data: ${JSON.stringify({
    id: 'chatcmpl-0123456789abcdef01234567',
    object: 'chat.completion.chunk',
    created: 1_795_392_000,
    model: 'served/model-8b',
    choices,
    ...rest,
  })}\n\n`
}

function ollamaLine(content: string, rest: object): string {
  return `${JSON.stringify({
    model: 'served/model-8b',
    created_at: '2026-11-23T00:00:00.123456789Z',
    message: { role: 'assistant', content },
    ...rest,
  })}\n`
}

function anthropicEvent(type: string, rest: object): string {
  return `event: ${type}\ndata: ${JSON.stringify({ type, ...rest })}\n\n`
}
