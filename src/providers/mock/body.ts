import type { MockAnswer, MockChoice } from './answer.ts'
import type { MockChunk } from './call.ts'

export interface AnswerHead {
  id: string
  /** Unix seconds. */
  created: number
  model: string
}

/** Tells a client that no model spoke. */
const fingerprint = 'fp_mock'

/** The whole answer. Format: OpenAI API reference, "The chat completion object". */
export function answerBody(answer: MockAnswer, head: AnswerHead): MockChunk {
  const body = {
    id: head.id,
    object: 'chat.completion',
    created: head.created,
    model: head.model,
    choices: answer.choices.map(wholeChoice),
    usage: wireUsage(answer),
    system_fingerprint: fingerprint,
  }
  return { text: JSON.stringify(body), tokensBefore: Math.max(0, ...answer.choices.map(tokenCount)) }
}

/**
 * The answer as server-sent events, one chunk for each token, the choices taking turns as in a batch. Format:
 * OpenAI API reference, "The chat completion chunk object".
 */
export function* answerChunks(
  answer: MockAnswer,
  head: AnswerHead,
  includeUsage: boolean,
): Generator<MockChunk, void, undefined> {
  const event = (choices: unknown[], usage: unknown = null) =>
    `data: ${JSON.stringify({
      id: head.id,
      object: 'chat.completion.chunk',
      created: head.created,
      model: head.model,
      system_fingerprint: fingerprint,
      choices,
      ...(includeUsage ? { usage } : {}),
    })}\n\n`
  const delta = (index: number, value: unknown, finish: string | null = null) =>
    event([{ index, delta: value, logprobs: null, finish_reason: finish }])

  const firstDelta = { role: 'assistant', content: '' }
  yield { text: answer.choices.map((_, index) => delta(index, firstDelta)).join(''), tokensBefore: 0 }
  const queues = answer.choices.map((choice) => [...deltasOf(choice)])
  const longest = Math.max(0, ...queues.map((queue) => queue.length))
  for (let token = 0; token < longest; token++) {
    const texts = queues.map((queue, index) => (queue[token] === undefined ? '' : delta(index, queue[token])))
    yield { text: texts.join(''), tokensBefore: token }
  }
  const finishes = answer.choices.map((choice, index) => delta(index, {}, choice.finishReason)).join('')
  yield { text: finishes, tokensBefore: longest }
  const usage = includeUsage ? event([], wireUsage(answer)) : ''
  yield { text: `${usage}data: [DONE]\n\n`, tokensBefore: longest }
}

/** An error answer. Format: OpenAI API reference, "Error codes". */
export function errorBody(status: number, message: string): string {
  return JSON.stringify({ error: { message, type: errorType(status), param: null, code: 'mock_error' } })
}

function errorType(status: number): string {
  if (status === 429) return 'rate_limit_error'
  return status < 500 ? 'invalid_request_error' : 'server_error'
}

function tokenCount(choice: MockChoice): number {
  return choice.reasoning.length + choice.content.length + (choice.toolCall?.arguments.length ?? 0)
}

function wholeChoice(choice: MockChoice, index: number): Record<string, unknown> {
  const call = choice.toolCall
  return {
    index,
    message: {
      role: 'assistant',
      content: call ? null : choice.content.join(''),
      refusal: null,
      ...(choice.reasoning.length > 0 ? { reasoning_content: choice.reasoning.join('') } : {}),
      ...(call ? { tool_calls: [wireCall(call.id, call.name, call.arguments.join(''))] } : {}),
    },
    logprobs: null,
    finish_reason: choice.finishReason,
  }
}

function* deltasOf(choice: MockChoice): Generator<Record<string, unknown>, void, undefined> {
  for (const token of choice.reasoning) yield { reasoning_content: token }
  for (const token of choice.content) yield { content: token }
  if (!choice.toolCall) return
  const { id, name, arguments: tokens } = choice.toolCall
  yield { tool_calls: [{ index: 0, ...wireCall(id, name, '') }] }
  for (const token of tokens) yield { tool_calls: [{ index: 0, function: { arguments: token } }] }
}

function wireCall(id: string, name: string, text: string): Record<string, unknown> {
  return { id, type: 'function', function: { name, arguments: text } }
}

function wireUsage({ usage }: MockAnswer): Record<string, unknown> {
  return {
    prompt_tokens: usage.promptTokens,
    completion_tokens: usage.completionTokens,
    total_tokens: usage.promptTokens + usage.completionTokens,
    prompt_tokens_details: { cached_tokens: 0 },
    completion_tokens_details: { reasoning_tokens: usage.reasoningTokens },
  }
}
