import { callableTools, declaredTool } from '../../dialects/shared/tools/declared-tools.ts'
import { isObject } from '../../lib/json/read.ts'
import type { ChatMessage, ChatRequest } from '../../sdk/chat.ts'
import { badRequest } from '../../sdk/errors.ts'
import type { Question, QuestionMessage } from '../../sdk/question.ts'
import { type Sampling, samplingFields } from '../../sdk/sampling.ts'

/** Converts a question into a chat. Throws `bad_request`, because extensions may be plain JavaScript and forward client input. */
export function chatOfQuestion(question: Question, { stream }: { stream: boolean }): ChatRequest {
  const { model, messages, tools, toolChoice, parallelToolCalls, responseFormat, reasoningEffort } = question
  if (typeof model !== 'string' || model === '') {
    throw badRequest("'model' must be a non-empty string", 'model', 'invalid_value')
  }
  if (!Array.isArray(messages) || messages.length === 0) {
    throw badRequest("'messages' must be a non-empty list", 'messages', 'invalid_value')
  }
  const offered = [...(tools ?? [])]
  if (toolChoice === 'required') callableTools(offered, 'toolChoice')
  if (typeof toolChoice === 'object') declaredTool(offered, toolChoice.name, 'toolChoice.name')
  return {
    model,
    stream,
    includeUsage: true,
    messages: messages.map((message, index) => chatMessage(message, `messages[${index}]`)),
    tools: offered,
    sampling: samplingOf(question),
    extras: {},
    ...(toolChoice === undefined ? {} : { toolChoice }),
    ...(parallelToolCalls === undefined ? {} : { parallelToolCalls }),
    ...(responseFormat === undefined ? {} : { responseFormat }),
    ...(reasoningEffort === undefined ? {} : { reasoningEffort }),
  }
}

/** Not supported in responses to extensions. */
const unsupportedSampling: ReadonlySet<string> = new Set(['n', 'logprobs', 'topLogprobs'])

function samplingOf(question: Question): Sampling {
  const given: Sampling = question
  const present = samplingFields.filter(
    (field) => !unsupportedSampling.has(field) && (given[field] ?? undefined) !== undefined,
  )
  return Object.fromEntries(present.map((field) => [field, given[field]]))
}

function chatMessage(message: QuestionMessage, path: string): ChatMessage {
  const given: unknown = message
  if (!isObject(given)) throw badRequest(`'${path}' must be an object`, path, 'invalid_value')
  if ('parts' in message) return message
  switch (message.role) {
    case 'system':
      return { role: 'system', developer: false, parts: [{ type: 'text', text: textOf(message, path) }] }
    case 'user': {
      const { content } = message
      const parts = typeof content === 'object' && Array.isArray(content) ? [...content] : undefined
      return { role: 'user', parts: parts ?? [{ type: 'text', text: textOf(message, path) }] }
    }
    case 'assistant': {
      const { content, toolCalls = [] } = message
      const text = content === undefined || content === null ? '' : textOf(message, path)
      return {
        role: 'assistant',
        parts: text === '' ? [] : [{ type: 'text', text }],
        reasoning: '',
        toolCalls: [...toolCalls],
      }
    }
    case 'tool': {
      const { callId } = message
      return { role: 'tool', callId, parts: [{ type: 'text', text: textOf(message, path) }] }
    }
    default: {
      const where = `${path}.role`
      throw badRequest(`'${where}' must be "system", "user", "assistant" or "tool"`, where, 'invalid_value')
    }
  }
}

function textOf({ content }: { content?: unknown }, path: string): string {
  if (typeof content === 'string') return content
  throw badRequest(`'${path}.content' must be a string`, `${path}.content`, 'invalid_value')
}

/** Size of a chat in bytes, to estimate its tokens. */
export function promptBytesOf({ messages, tools }: ChatRequest): number {
  return Buffer.byteLength(JSON.stringify([messages, tools]))
}
