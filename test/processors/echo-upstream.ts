import { parseExactObject } from '../../src/lib/json/exact.ts'
import { isObject } from '../../src/lib/json/read.ts'
import { type RecordedRequest, type ScriptedUpstream, startUpstream } from '../helpers/scripted-upstream.ts'

/** Types of servers that serve the models. */
export const upstreamKinds = ['openai', 'anthropic', 'gemini', 'ollama'] as const
export type UpstreamKind = (typeof upstreamKinds)[number]

/** What a server returns: the text of the last turn, as text, thoughts and the arguments of a call. */
export interface Echo {
  text?: string
  reasoning?: string
  call?: string
  /** Stops after its text, or most of it: no end, and no call. */
  hangs?: boolean
}

/** Where a text is split into pieces. */
export type Cut = (text: string) => string[]

export const everyCharacter: Cut = (text) => [...text]
export const wholeText: Cut = (text) => [text]

interface EchoOptions {
  /** `text`: the last text of the request. */
  say(text: string, request: RecordedRequest): Echo
  cut?: Cut
}

/** Response forms: chats and completions. */
type Form = UpstreamKind | 'completion' | 'generate'

/** A server that responds in its own form with what `say` makes of the last text that it received. */
export function startEcho(options: EchoOptions): Promise<ScriptedUpstream> {
  return startUpstream((request) => {
    const form = formOf(request)
    const echo = options.say(lastText(request.body), request)
    const { cut = wholeText } = options
    if (!isStream(request, form))
      return echo.hangs ? { kind: 'hang' } : { kind: 'reply', body: whole[form](echo) }
    const headers = { 'content-type': linesAlone.has(form) ? 'application/x-ndjson' : 'text/event-stream' }
    const events = streams[form](echo, cut)
    // The longest end of a form has three events.
    if (echo.hangs) return { kind: 'stream', headers, pieces: [events.slice(0, -3).join('')], ending: 'hang' }
    return { kind: 'stream', headers, pieces: [events.join('')] }
  })
}

const linesAlone: ReadonlySet<Form> = new Set(['ollama', 'generate'])

function formOf({ url }: RecordedRequest): Form {
  if (url.includes('/v1/messages')) return 'anthropic'
  if (url.includes('generateContent') || url.includes('streamGenerateContent')) return 'gemini'
  if (url.includes('/api/generate')) return 'generate'
  if (url.includes('/v1/completions')) return 'completion'
  return url.includes('/api/') ? 'ollama' : 'openai'
}

function isStream({ url, body }: RecordedRequest, form: Form): boolean {
  if (form === 'gemini') return url.includes('streamGenerateContent')
  const stream = isObject(body) ? body.stream : undefined
  return linesAlone.has(form) ? stream !== false : stream === true
}

/** The last text of any turn, wherever the dialect has it. */
export function lastText(value: unknown): string {
  let last = ''
  const visit = (node: unknown, key: string): void => {
    if (typeof node === 'string' && (key === 'content' || key === 'text')) last = node
    else if (Array.isArray(node)) for (const item of node) visit(item, key)
    else if (isObject(node)) for (const [name, member] of Object.entries(node)) visit(member, name)
  }
  if (isObject(value)) visit(value.messages ?? value.contents, '')
  return last
}

const usage = { prompt_tokens: 3, completion_tokens: 5, total_tokens: 8 }

const completionHead = { id: 'cmpl-1', object: 'text_completion', created: 1, model: 'up' }
const generateHead = { model: 'up', created_at: '2026-01-01T00:00:00Z' }
const generateEnd = { done: true, done_reason: 'stop', prompt_eval_count: 3, eval_count: 5 }

const whole: Record<Form, (echo: Echo) => unknown> = {
  completion: ({ text = '' }) => ({
    ...completionHead,
    choices: [{ index: 0, text, logprobs: null, finish_reason: 'stop' }],
    usage,
  }),
  generate: ({ text = '' }) => ({ ...generateHead, response: text, ...generateEnd }),
  openai: ({ text = '', reasoning, call }) => ({
    id: 'chatcmpl-1',
    object: 'chat.completion',
    created: 1,
    model: 'up',
    choices: [
      {
        index: 0,
        message: {
          role: 'assistant',
          content: text,
          ...(reasoning === undefined ? {} : { reasoning_content: reasoning }),
          ...(call === undefined
            ? {}
            : { tool_calls: [{ id: 'call_1', type: 'function', function: { name: 'f', arguments: call } }] }),
        },
        finish_reason: call === undefined ? 'stop' : 'tool_calls',
      },
    ],
    usage,
  }),
  anthropic: ({ text = '', reasoning, call }) => ({
    id: 'msg_1',
    type: 'message',
    role: 'assistant',
    model: 'up',
    content: [
      ...(reasoning === undefined ? [] : [{ type: 'thinking', thinking: reasoning, signature: 'c2ln' }]),
      { type: 'text', text },
      ...(call === undefined
        ? []
        : [{ type: 'tool_use', id: 'toolu_1', name: 'f', input: parseExactObject(call) }]),
    ],
    stop_reason: call === undefined ? 'end_turn' : 'tool_use',
    stop_sequence: null,
    usage: { input_tokens: 3, output_tokens: 5 },
  }),
  gemini: ({ text = '', reasoning, call }) => ({
    candidates: [
      {
        index: 0,
        content: {
          role: 'model',
          parts: [
            ...(reasoning === undefined ? [] : [{ text: reasoning, thought: true }]),
            { text },
            ...(call === undefined ? [] : [{ functionCall: { name: 'f', args: parseExactObject(call) } }]),
          ],
        },
        finishReason: 'STOP',
      },
    ],
    usageMetadata: { promptTokenCount: 3, candidatesTokenCount: 5, totalTokenCount: 8 },
  }),
  ollama: ({ text = '', reasoning, call }) => ({
    model: 'up',
    created_at: '2026-01-01T00:00:00Z',
    message: {
      role: 'assistant',
      content: text,
      ...(reasoning === undefined ? {} : { thinking: reasoning }),
      ...(call === undefined
        ? {}
        : { tool_calls: [{ function: { name: 'f', arguments: parseExactObject(call) } }] }),
    },
    done: true,
    done_reason: 'stop',
    prompt_eval_count: 3,
    eval_count: 5,
  }),
}

function data(value: unknown): string {
  return `data: ${JSON.stringify(value)}\n\n`
}

function event(value: { type: string; [name: string]: unknown }): string {
  return `event: ${value.type}\n${data(value)}`
}

const streams: Record<Form, (echo: Echo, cut: Cut) => string[]> = {
  completion({ text = '' }, cut) {
    const chunk = (piece: string, reason: string | null = null): string =>
      data({ ...completionHead, choices: [{ index: 0, text: piece, logprobs: null, finish_reason: reason }] })
    return [
      ...cut(text).map((piece) => chunk(piece)),
      chunk('', 'stop'),
      data({ ...completionHead, choices: [], usage }),
      'data: [DONE]\n\n',
    ]
  },
  generate({ text = '' }, cut) {
    const line = (response: string, more: object): string =>
      `${JSON.stringify({ ...generateHead, response, ...more })}\n`
    return [...cut(text).map((piece) => line(piece, { done: false })), line('', generateEnd)]
  },
  openai({ text = '', reasoning, call }, cut) {
    const chunk = (delta: unknown, reason: string | null = null): string =>
      data({
        id: 'chatcmpl-1',
        object: 'chat.completion.chunk',
        created: 1,
        model: 'up',
        choices: [{ index: 0, delta, finish_reason: reason }],
      })
    return [
      chunk({ role: 'assistant', content: '' }),
      ...cut(reasoning ?? '').map((piece) => chunk({ reasoning_content: piece })),
      ...cut(text).map((piece) => chunk({ content: piece })),
      ...(call === undefined
        ? []
        : [
            chunk({
              tool_calls: [
                { index: 0, id: 'call_1', type: 'function', function: { name: 'f', arguments: '' } },
              ],
            }),
            ...cut(call).map((piece) =>
              chunk({ tool_calls: [{ index: 0, function: { arguments: piece } }] }),
            ),
          ]),
      chunk({}, call === undefined ? 'stop' : 'tool_calls'),
      data({
        id: 'chatcmpl-1',
        object: 'chat.completion.chunk',
        created: 1,
        model: 'up',
        choices: [],
        usage,
      }),
      'data: [DONE]\n\n',
    ]
  },
  anthropic({ text = '', reasoning, call }, cut) {
    let index = -1
    const block = (start: object, deltas: object[]): string[] => {
      index++
      return [
        event({ type: 'content_block_start', index, content_block: start }),
        ...deltas.map((delta) => event({ type: 'content_block_delta', index, delta })),
        event({ type: 'content_block_stop', index }),
      ]
    }
    const message = { id: 'msg_1', type: 'message', role: 'assistant', model: 'up', content: [] }
    return [
      event({
        type: 'message_start',
        message: {
          ...message,
          stop_reason: null,
          stop_sequence: null,
          usage: { input_tokens: 3, output_tokens: 1 },
        },
      }),
      ...(reasoning === undefined
        ? []
        : block({ type: 'thinking', thinking: '', signature: '' }, [
            ...cut(reasoning).map((thinking) => ({ type: 'thinking_delta', thinking })),
            { type: 'signature_delta', signature: 'c2ln' },
          ])),
      ...block(
        { type: 'text', text: '' },
        cut(text).map((piece) => ({ type: 'text_delta', text: piece })),
      ),
      ...(call === undefined
        ? []
        : block({ type: 'tool_use', id: 'toolu_1', name: 'f', input: {} }, [
            ...cut(call).map((piece) => ({ type: 'input_json_delta', partial_json: piece })),
          ])),
      event({
        type: 'message_delta',
        delta: { stop_reason: call === undefined ? 'end_turn' : 'tool_use', stop_sequence: null },
        usage: { output_tokens: 5 },
      }),
      event({ type: 'message_stop' }),
    ]
  },
  gemini({ text = '', reasoning, call }, cut) {
    const chunk = (parts: unknown[], more: object = {}): string =>
      data({ candidates: [{ index: 0, content: { role: 'model', parts }, ...more }], modelVersion: 'up' })
    return [
      ...cut(reasoning ?? '').map((piece) => chunk([{ text: piece, thought: true }])),
      ...cut(text).map((piece) => chunk([{ text: piece }])),
      ...(call === undefined ? [] : [chunk([{ functionCall: { name: 'f', args: parseExactObject(call) } }])]),
      data({
        candidates: [{ index: 0, content: { role: 'model', parts: [{ text: '' }] }, finishReason: 'STOP' }],
        usageMetadata: { promptTokenCount: 3, candidatesTokenCount: 5, totalTokenCount: 8 },
      }),
    ]
  },
  ollama({ text = '', reasoning, call }, cut) {
    const line = (message: object, more: object = { done: false }): string =>
      `${JSON.stringify({ model: 'up', created_at: '2026-01-01T00:00:00Z', message: { role: 'assistant', ...message }, ...more })}\n`
    return [
      ...cut(reasoning ?? '').map((thinking) => line({ content: '', thinking })),
      ...cut(text).map((content) => line({ content })),
      ...(call === undefined
        ? []
        : [
            line({
              content: '',
              tool_calls: [{ function: { name: 'f', arguments: parseExactObject(call) } }],
            }),
          ]),
      line({ content: '' }, { done: true, done_reason: 'stop', prompt_eval_count: 3, eval_count: 5 }),
    ]
  },
}
