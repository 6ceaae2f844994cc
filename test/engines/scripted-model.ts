import type { Behaviour, RecordedRequest, Script } from '../helpers/scripted-upstream.ts'

export interface ToolCall {
  name: string
  args: object
}

/** The model's next turn. Calls of one turn are parallel. */
export interface Turn {
  text?: string
  thought?: string
  calls?: readonly ToolCall[]
}

/** What the model sees of a request, whatever its dialect. */
export interface Conversation {
  /** Names of the tools that it is offered. */
  tools: readonly string[]
  /** Texts of the tool results so far, in order. */
  results: readonly string[]
  /** The whole request, as JSON. */
  raw: string
  isStream: boolean
}

/**
 * A scripted model server: chat completions and the Responses API as in vLLM and llama.cpp, and Ollama's chat. Any other
 * request is the health check or the model list of one of them.
 */
export function scriptedModel(play: (conversation: Conversation) => Turn | Promise<Turn>): Script {
  return async (request) => {
    const path = new URL(request.url, 'http://x').pathname
    if (request.method === 'GET') return listing(path)
    const conversation = conversationOf(request)
    const turn = await play(conversation)
    if (path === '/api/chat') return ollamaAnswer(turn, conversation)
    if (path === '/v1/chat/completions') return chatAnswer(turn, conversation)
    if (path === '/v1/responses') return responsesAnswer(turn, conversation)
    return { kind: 'reply', status: 404, body: { error: { message: `no ${path} here` } } }
  }
}

function listing(path: string): Behaviour {
  if (path === '/v1/models') {
    const model = { id: 'scripted', object: 'model', owned_by: 'vllm', max_model_len: 200_000 }
    return { kind: 'reply', body: { object: 'list', data: [model] } }
  }
  if (path === '/api/version') return { kind: 'reply', body: { version: '0.30.0' } }
  if (path === '/health') return { kind: 'reply', body: { status: 'ok' } }
  return { kind: 'reply', status: 404, body: {} }
}

interface Item {
  role?: string
  type?: string
  name?: string
  content?: unknown
  output?: unknown
  function?: { name: string }
}

function conversationOf({ body, raw }: RecordedRequest): Conversation {
  const { tools, messages, input, stream }: Record<string, unknown> = Object(body)
  const list = (value: unknown): Item[] => (Array.isArray(value) ? value : [])
  const turns = [...list(messages), ...list(input)]
  const results = turns.filter(({ role, type }) => role === 'tool' || /_call_output$/.test(type ?? ''))
  return {
    tools: list(tools).map(({ name, function: of }) => of?.name ?? name ?? ''),
    results: results.map(({ content, output }) => textOf(content ?? output)),
    raw: raw.toString(),
    // Ollama streams by default.
    isStream: stream === true,
  }
}

function textOf(content: unknown): string {
  return typeof content === 'string' ? content : JSON.stringify(content)
}

const usage = { prompt_tokens: 90, completion_tokens: 30, total_tokens: 120 }
const head = { id: 'chatcmpl-scripted', created: 1_795_392_000, model: 'scripted' }

function callsOf({ calls = [] }: Turn): { index: number; id: string; type: string; function: object }[] {
  return calls.map(({ name, args }, index) => ({
    index,
    id: `call_${crypto.randomUUID()}`,
    type: 'function',
    function: { name, arguments: JSON.stringify(args) },
  }))
}

function chatAnswer(turn: Turn, { isStream }: Conversation): Behaviour {
  const calls = callsOf(turn)
  const reason = calls.length > 0 ? 'tool_calls' : 'stop'
  const { text = '', thought } = turn
  if (!isStream) {
    const message = {
      role: 'assistant',
      content: text,
      ...(thought && { reasoning_content: thought }),
      ...(calls.length > 0 && { tool_calls: calls.map(({ index: _, ...call }) => call) }),
    }
    const choices = [{ index: 0, message, finish_reason: reason }]
    return { kind: 'reply', body: { ...head, object: 'chat.completion', choices, usage } }
  }
  const event = (rest: object) =>
    `data: ${JSON.stringify({ ...head, object: 'chat.completion.chunk', ...rest })}\n\n`
  const chunk = (delta: object, finish_reason: string | null = null) =>
    event({ choices: [{ index: 0, delta, finish_reason }] })
  return {
    kind: 'stream',
    pieces: [
      chunk({ role: 'assistant', content: '' }),
      ...(thought ? [chunk({ reasoning_content: thought })] : []),
      ...halves(text).map((content) => chunk({ content })),
      ...calls.flatMap(({ function: called, ...call }) => {
        const { name, arguments: args } = Object(called)
        return [
          chunk({ tool_calls: [{ ...call, function: { name, arguments: '' } }] }),
          ...halves(args).map((part) =>
            chunk({ tool_calls: [{ index: call.index, function: { arguments: part } }] }),
          ),
        ]
      }),
      chunk({}, reason),
      event({ choices: [], usage }),
      'data: [DONE]\n\n',
    ],
  }
}

function ollamaAnswer({ text = '', thought, calls = [] }: Turn, { isStream }: Conversation): Behaviour {
  const line = (message: object, rest: object = { done: false }) => ({
    model: 'scripted',
    created_at: '2026-11-23T00:00:00.123456789Z',
    message: { role: 'assistant', content: '', ...message },
    ...rest,
  })
  const tool_calls = calls.map(({ name, args }) => ({ function: { name, arguments: args } }))
  const end = { done: true, done_reason: 'stop', prompt_eval_count: 90, eval_count: 30, total_duration: 9e8 }
  const said = { ...(thought && { thinking: thought }), ...(tool_calls.length > 0 && { tool_calls }) }
  if (!isStream) return { kind: 'reply', body: line({ content: text, ...said }, end) }
  const lines = [...halves(text).map((content) => line({ content })), line(said), line({}, end)]
  return {
    kind: 'stream',
    headers: { 'content-type': 'application/x-ndjson' },
    pieces: lines.map((each) => `${JSON.stringify(each)}\n`),
  }
}

function responsesAnswer(turn: Turn, { isStream }: Conversation): Behaviour {
  const { text = '', thought, calls = [] } = turn
  const id = (kind: string) => `${kind}_${crypto.randomUUID().replaceAll('-', '')}`
  const status = 'completed'
  const output: Record<string, unknown>[] = [
    ...(thought
      ? [{ type: 'reasoning', id: id('rs'), summary: [{ type: 'summary_text', text: thought }] }]
      : []),
    ...(text
      ? [
          {
            type: 'message',
            id: id('msg'),
            status,
            role: 'assistant',
            content: [{ type: 'output_text', text, annotations: [] }],
          },
        ]
      : []),
    ...calls.map(({ name, args }) => ({
      type: 'function_call',
      id: id('fc'),
      call_id: id('call'),
      status,
      name,
      arguments: JSON.stringify(args),
    })),
  ]
  const response = {
    id: id('resp'),
    object: 'response',
    created_at: head.created,
    model: 'scripted',
    status,
    output,
    parallel_tool_calls: true,
    tool_choice: 'auto',
    tools: [],
    error: null,
    usage: {
      input_tokens: 90,
      output_tokens: 30,
      total_tokens: 120,
      input_tokens_details: { cached_tokens: 0 },
      output_tokens_details: { reasoning_tokens: 0 },
    },
  }
  if (!isStream) return { kind: 'reply', body: response }
  let sequence_number = 0
  const event = (type: string, rest: object) =>
    `event: ${type}\ndata: ${JSON.stringify({ type, sequence_number: sequence_number++, ...rest })}\n\n`
  const begun = { ...response, status: 'in_progress', output: [], usage: null }
  return {
    kind: 'stream',
    pieces: [
      event('response.created', { response: begun }),
      ...output.flatMap((item, output_index) => [
        event('response.output_item.added', { output_index, item }),
        ...(item.type === 'message'
          ? [
              event('response.output_text.delta', {
                item_id: item.id,
                output_index,
                content_index: 0,
                delta: text,
              }),
            ]
          : []),
        event('response.output_item.done', { output_index, item }),
      ]),
      event('response.completed', { response }),
    ],
  }
}

function halves(text: string): string[] {
  const half = Math.ceil(text.length / 2)
  return [text.slice(0, half), text.slice(half)].filter((part) => part !== '')
}
