import { anthropicEvent } from '../helpers/anthropic-answers.ts'
import { geminiAnswer, geminiEvent, geminiStream } from '../helpers/gemini-answers.ts'
import type { Behaviour, RecordedRequest } from '../helpers/scripted-upstream.ts'
import * as upstreams from '../helpers/scripted-upstream.ts'

/** What a model says, independent of any dialect. */
export interface Said {
  reasoning?: string
  text?: string
  calls?: readonly { name: string; input: object }[]
}

/** How a stream fails after its first text. */
export type Fault = 'cut' | 'error'

/** A kind of upstream: its `api_type`, and how it sends content, whole or streamed as requested. */
export interface UpstreamKind {
  type: string
  say(said: Said): (request: RecordedRequest) => Behaviour
  /** Streams this text and then fails. */
  breakAfter(text: string, fault: Fault): Behaviour
  /** Streams this text and then hangs. */
  hangAfter(text: string): Behaviour
}

/** Every upstream below reports 9 prompt tokens and 3 output tokens; 4 of the 9 are cached where that can be reported. */
export const upstreamKinds: readonly UpstreamKind[] = [
  {
    type: 'vllm',
    say: (said) => byStream(openaiWhole(said), openaiStream(said)),
    breakAfter: (text, fault) => ({ kind: 'stream', pieces: [openaiStart(text), ...openaiFault(fault)] }),
    hangAfter: (text) => ({ kind: 'stream', pieces: [openaiStart(text)], ending: 'hang' }),
  },
  {
    type: 'ollama',
    say: (said) => byStream(ollamaWhole(said), ollamaStream(said)),
    breakAfter: (text, fault) =>
      upstreams.ollamaPieces([
        upstreams.ollamaLine({ content: text }),
        ...(fault === 'error' ? ['{"error":"engine died"}\n'] : []),
      ]),
    hangAfter: (text) => ({
      kind: 'stream',
      headers: { 'content-type': 'application/x-ndjson' },
      pieces: [upstreams.ollamaLine({ content: text })],
      ending: 'hang',
    }),
  },
  {
    type: 'anthropic',
    say: (said) => byStream(anthropicWhole(said), anthropicStream(said)),
    breakAfter: (text, fault) => ({
      kind: 'stream',
      pieces: [...anthropicStart(text), ...(fault === 'error' ? [anthropicFault] : [])],
    }),
    hangAfter: (text) => ({ kind: 'stream', pieces: anthropicStart(text), ending: 'hang' }),
  },
  {
    type: 'gemini',
    say:
      (said) =>
      ({ url }) =>
        url.includes(':streamGenerateContent') ? geminiStreamed(said) : geminiWhole(said),
    breakAfter: (text, fault) => ({
      kind: 'stream',
      pieces: [geminiEvent({ candidates: [{ content: { parts: [{ text }] } }] }), ...geminiFault(fault)],
    }),
    hangAfter: (text) => ({
      kind: 'stream',
      pieces: [geminiEvent({ candidates: [{ content: { parts: [{ text }] } }] })],
      ending: 'hang',
    }),
  },
]

/** Says one thing per request, in order, and then repeats the last one. */
export function inTurn(kind: UpstreamKind, ...said: Said[]): (request: RecordedRequest) => Behaviour {
  let index = 0
  return (request) => {
    const now = said[Math.min(index, said.length - 1)] ?? {}
    index++
    return kind.say(now)(request)
  }
}

function geminiParts({ reasoning, text, calls = [] }: Said): object[] {
  return [
    ...halves(reasoning).map((half) => ({ text: half, thought: true })),
    ...halves(text).map((half) => ({ text: half })),
    ...calls.map(({ name, input }, index) => ({
      functionCall: { name, args: input },
      ...(index === 0 ? { thoughtSignature: 'c2lnbmVk' } : {}),
    })),
  ]
}

function geminiWhole(said: Said): Behaviour {
  return geminiAnswer(geminiParts(said))
}

function geminiStreamed(said: Said): Behaviour {
  return geminiStream(geminiParts(said))
}

function geminiFault(fault: Fault): string[] {
  const error = { code: 500, message: 'engine died', status: 'INTERNAL' }
  return fault === 'error' ? [geminiEvent({ error })] : []
}

function byStream(whole: Behaviour, streamed: Behaviour): (request: RecordedRequest) => Behaviour {
  return ({ body }) => (Object(body).stream === true ? streamed : whole)
}

const openaiUsage = {
  prompt_tokens: 9,
  completion_tokens: 3,
  total_tokens: 12,
  prompt_tokens_details: { cached_tokens: 4 },
}

function openaiCalls({ calls = [] }: Said): object[] {
  return calls.map(({ name, input }, index) => ({
    id: `call_up${index}`,
    type: 'function',
    function: { name, arguments: JSON.stringify(input) },
  }))
}

function openaiWhole(said: Said): Behaviour {
  const calls = openaiCalls(said)
  const message = {
    content: said.text ?? null,
    ...(said.reasoning === undefined ? {} : { reasoning_content: said.reasoning }),
    ...(calls.length > 0 ? { tool_calls: calls } : {}),
  }
  const answer = upstreams.openaiText('', message, {
    finish_reason: calls.length > 0 ? 'tool_calls' : 'stop',
  })
  if (answer.kind !== 'reply') throw new Error('a whole answer is a reply')
  return { ...answer, body: { ...Object(answer.body), usage: openaiUsage } }
}

function openaiStart(text: string): string {
  return upstreams.openaiChunk({ role: 'assistant', content: text })
}

function openaiStream(said: Said): Behaviour {
  const calls = openaiCalls(said)
  const usage = JSON.parse(upstreams.openaiUsageChunk().slice('data: '.length))
  return {
    kind: 'stream',
    pieces: [
      upstreams.openaiChunk({ role: 'assistant', content: '' }),
      ...halves(said.reasoning).map((reasoning_content) => upstreams.openaiChunk({ reasoning_content })),
      ...halves(said.text).map((content) => upstreams.openaiChunk({ content })),
      ...calls.map((call, index) => upstreams.openaiChunk({ tool_calls: [{ index, ...call }] })),
      upstreams.openaiChunk({}, calls.length > 0 ? 'tool_calls' : 'stop'),
      `data: ${JSON.stringify({ ...usage, usage: openaiUsage })}\n\n`,
      upstreams.openaiDone,
    ],
  }
}

function openaiFault(fault: Fault): string[] {
  const error = { message: 'engine died', type: 'InternalServerError', code: 500 }
  return fault === 'error' ? [`data: ${JSON.stringify({ error })}\n\n`, upstreams.openaiDone] : []
}

function ollamaMessage({ text = '', reasoning, calls = [] }: Said): object {
  return {
    content: text,
    ...(reasoning === undefined ? {} : { thinking: reasoning }),
    ...(calls.length === 0
      ? {}
      : { tool_calls: calls.map(({ name, input }) => ({ function: { name, arguments: input } })) }),
  }
}

function ollamaWhole(said: Said): Behaviour {
  return upstreams.ollamaText('', ollamaMessage(said))
}

function ollamaStream({ text, reasoning, calls }: Said): Behaviour {
  return upstreams.ollamaPieces([
    ...halves(reasoning).map((thinking) => upstreams.ollamaLine({ thinking })),
    ...halves(text).map((content) => upstreams.ollamaLine({ content })),
    ...(calls ? [upstreams.ollamaLine(ollamaMessage({ calls }))] : []),
    upstreams.ollamaDone(),
  ])
}

const anthropicUsage = {
  input_tokens: 5,
  cache_creation_input_tokens: 0,
  cache_read_input_tokens: 4,
  output_tokens: 3,
}

/** The output tokens are counted only at the end of the stream. */
function anthropicHead(): string {
  const usage = { ...anthropicUsage, output_tokens: 0 }
  return event('message_start', { message: { ...anthropicMessage([], null), usage } })
}

function anthropicMessage(content: object[], stop_reason: string | null): object {
  return {
    id: 'msg_upstream',
    type: 'message',
    role: 'assistant',
    model: upstreams.upstreamModel,
    content,
    stop_reason,
    stop_sequence: null,
    usage: anthropicUsage,
  }
}

function anthropicWhole({ reasoning, text, calls = [] }: Said): Behaviour {
  const content = [
    ...(reasoning === undefined ? [] : [{ type: 'thinking', thinking: reasoning, signature: 'sig' }]),
    ...(text === undefined ? [] : [{ type: 'text', text }]),
    ...calls.map(({ name, input }, index) => ({ type: 'tool_use', id: `toolu_up${index}`, name, input })),
  ]
  return { kind: 'reply', body: anthropicMessage(content, calls.length > 0 ? 'tool_use' : 'end_turn') }
}

function anthropicBlock(index: number, start: object, deltas: readonly object[]): string[] {
  return [
    event('content_block_start', { index, content_block: start }),
    ...deltas.map((delta) => event('content_block_delta', { index, delta })),
    event('content_block_stop', { index }),
  ]
}

function event(type: string, members: object): string {
  return anthropicEvent({ type, ...members })
}

function anthropicStart(text: string): string[] {
  return [
    anthropicHead(),
    event('content_block_start', { index: 0, content_block: { type: 'text', text: '' } }),
    event('ping', {}),
    event('content_block_delta', { index: 0, delta: { type: 'text_delta', text } }),
  ]
}

const anthropicFault = event('error', { error: { type: 'api_error', message: 'engine died' } })

function anthropicStream({ reasoning, text, calls = [] }: Said): Behaviour {
  const blocks: { start: object; deltas: object[] }[] = []
  if (reasoning !== undefined) {
    const thinkingDeltas = halves(reasoning).map((thinking) => ({ type: 'thinking_delta', thinking }))
    blocks.push({
      start: { type: 'thinking', thinking: '', signature: '' },
      deltas: [...thinkingDeltas, { type: 'signature_delta', signature: 'sig' }],
    })
  }
  if (text !== undefined) {
    const deltas = halves(text).map((half) => ({ type: 'text_delta', text: half }))
    blocks.push({ start: { type: 'text', text: '' }, deltas })
  }
  for (const [index, { name, input }] of calls.entries()) {
    blocks.push({
      start: { type: 'tool_use', id: `toolu_up${index}`, name, input: {} },
      deltas: halves(JSON.stringify(input)).map((partial_json) => ({
        type: 'input_json_delta',
        partial_json,
      })),
    })
  }
  const stop_reason = calls.length > 0 ? 'tool_use' : 'end_turn'
  return {
    kind: 'stream',
    pieces: [
      anthropicHead(),
      ...blocks.flatMap(({ start, deltas }, index) => anthropicBlock(index, start, deltas)),
      event('message_delta', { delta: { stop_reason, stop_sequence: null }, usage: { output_tokens: 3 } }),
      event('message_stop', {}),
    ],
  }
}

/** Splits a text in two, like the chunks of a stream. */
function halves(text: string | undefined): string[] {
  if (text === undefined) return []
  const middle = Math.ceil(text.length / 2)
  return [text.slice(0, middle), text.slice(middle)].filter((half) => half !== '')
}
