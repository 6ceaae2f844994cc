import type { Static } from '@sinclair/typebox'
import { isObject } from '../../lib/json/read.ts'
import type {
  AnswerContents,
  ContentForms,
  ContentShape,
  DialectContents,
  MembersOf,
  StreamContents,
  StreamedContents,
  StreamedText,
} from '../../sdk/content.ts'
import type { OllamaEmbedBody, OllamaEmbeddingsBody } from './embedding.ts'
import type { OllamaChatBody, OllamaGenerateBody } from './request/schema.ts'

const messageMembers = {
  role: 'keep',
  content: 'text',
  thinking: 'text',
  tool_name: 'keep',
  tool_call_id: 'keep',
  name: 'text',
  images: { text: 'media', items: 'media' },
  tool_calls: {
    items: {
      members: {
        id: 'keep',
        type: 'keep',
        function: { members: { index: 'keep', name: 'keep', arguments: 'json', description: 'keep' } },
        signature: 'opaque',
      },
    },
  },
} as const satisfies Record<string, ContentShape>

const messages = {
  items: {
    by: {
      member: 'role',
      cases: {
        system: { members: messageMembers, system: true },
        tool: { members: { ...messageMembers, content: 'json' } },
      },
      otherwise: { members: messageMembers },
    },
  },
} as const satisfies ContentForms

const options = {
  members: { stop: { text: 'text', items: 'text' } },
  rest: 'keep',
} as const satisfies ContentForms
const modelMembers = { model: 'replaced', model_name: 'replaced' } as const

const shared = {
  stream: 'keep',
  format: 'schema',
  think: 'keep',
  keep_alive: 'keep',
  logprobs: 'keep',
  top_logprobs: 'keep',
  options,
} as const satisfies Record<string, ContentShape>

const chat = {
  ...shared,
  messages,
  tools: 'schema',
} as const satisfies MembersOf<Static<typeof OllamaChatBody>>

const generate = {
  ...shared,
  model: 'replaced',
  prompt: 'text',
  suffix: 'text',
  raw: 'keep',
  system: { text: 'text', system: true },
  template: { text: 'text', system: true },
  // Token ids of an earlier response.
  context: { items: { numbers: 'rejected' } },
  images: { items: 'media' },
} as const satisfies MembersOf<Static<typeof OllamaGenerateBody>>

const embedding = {
  ...modelMembers,
  input: { text: 'text', items: 'text' },
  prompt: 'text',
  truncate: 'keep',
  dimensions: 'keep',
  keep_alive: 'keep',
  options,
} as const satisfies MembersOf<Static<typeof OllamaEmbedBody> & Static<typeof OllamaEmbeddingsBody>>

/** Source: Ollama API reference, "Generate a chat completion" and "Generate a completion". */
const stream: StreamContents = {
  read(line) {
    const texts: StreamedText[] = []
    const { message } = line
    for (const name of ['thinking', 'content'])
      if (isObject(message) && typeof message[name] === 'string')
        texts.push({ channel: name, group: 'message', path: ['message', name] })
    for (const name of ['thinking', 'response'])
      if (typeof line[name] === 'string') texts.push({ channel: name, group: 'message', path: [name] })
    // Calls are complete in one line.
    const whole: StreamedContents['whole'] = isObject(message)
      ? [{ path: ['message', 'tool_calls'], shape: messageMembers.tool_calls }]
      : []
    return { texts, ends: line.done === true ? [''] : [], whole }
  },
  continueText({ model, created_at, message }, { path }, text) {
    const [first = '', second] = path
    if (second === undefined) return { model, created_at, [String(first)]: text, done: false }
    const role = isObject(message) ? message.role : 'assistant'
    const empty = second === 'content' ? {} : { content: '' }
    return { model, created_at, message: { role, ...empty, [String(second)]: text }, done: false }
  },
  createEnding: () => ({ observe() {}, endFiltered: (why) => [{ error: why }] }),
}

const answers: AnswerContents = {
  shape: {
    members: { message: { members: messageMembers, rest: 'value' }, response: 'text', thinking: 'text' },
    rest: 'opaque',
  },
  // Ollama has no finish reason for filtered content.
  filtered: (_answer, why) => ({ error: why }),
}

export const ollamaContents: DialectContents = {
  requests: {
    chat: { members: { ...modelMembers, ...chat } },
    embedding: { members: embedding },
  },
  stream,
  answers,
  userTurn: { turns: 'messages', content: 'content', part: (text) => ({ type: 'text', text }) },
}

/** Text completion is a separate surface, with a prompt instead of messages. */
export const generateContents: DialectContents = {
  userTurn: { turns: 'prompt', content: 'content', part: (text) => ({ text }) },
  requests: { chat: { members: { ...modelMembers, ...generate } } },
  stream,
  answers,
}
