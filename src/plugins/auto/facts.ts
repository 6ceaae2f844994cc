import type { FastifyInstance, FastifyRequest } from 'fastify'
import { isObject } from '../../lib/json/read.ts'
import { featureNames, traitsOfBody, traitsOfChat } from '../../relay/request/request-traits.ts'
import { sessionOf } from '../../relay/request/session.ts'
import type { ChatRequest } from '../../sdk/chat.ts'
import { estimatePromptTokens, textTokens } from '../auth/prompt-estimate.ts'
import { languageOf } from './language.ts'

/** Properties of a request that the choice depends on. */
export interface AutoFacts {
  /** Last user message. */
  readonly text: string
  /** First user message, which is stable throughout a conversation. */
  readonly firstText: string
  /** System messages. */
  readonly system: string
  /** Whether the request continues a conversation. */
  readonly continues: boolean
  /** `image`, `audio`, `video`, `file`, `tools` and other features that a server may lack. */
  readonly features: ReadonlySet<string>
  readonly promptTokens: number
  readonly session: string | undefined
  /** Language of the text; undefined if it is not recognized. */
  readonly language: string | undefined
}

/** Reads a request in any dialect, or to a text endpoint. */
export function factsOfRequest(app: FastifyInstance, request: FastifyRequest, dialect?: string): AutoFacts {
  const { rawBody, headers } = request
  const body: Record<string, unknown> = rawBody?.whole() ?? Object(request.body)
  const dialectOfBody = dialectOf(app, request, body, dialect)
  const features = dialectOfBody ? featureNames(traitsOfBody(dialectOfBody, body, undefined).features) : []
  const words =
    (dialectOfBody && wordsIn(() => dialectOfBody.chat.readRequest(body, false))) ?? wordsOfStrings(body)
  return {
    ...words,
    features: new Set(features),
    promptTokens: rawBody
      ? estimatePromptTokens(rawBody.bytes, rawBody.scan)
      : textTokens(request.exchange.receivedBytes),
    session: sessionOf(headers, body),
    language: languageOf(words.text),
  }
}

/** Reads a question of an extension. */
export function factsOfChat(chat: ChatRequest, { headers }: FastifyRequest): AutoFacts {
  const words = wordsOfChat(chat)
  return {
    ...words,
    features: new Set(featureNames(traitsOfChat(chat).features)),
    promptTokens: textTokens(Buffer.byteLength(JSON.stringify([chat.messages, chat.tools]))),
    session: sessionOf(headers, {}),
    language: languageOf(words.text),
  }
}

function dialectOf(
  app: FastifyInstance,
  { routeOptions: { config } }: FastifyRequest,
  body: Readonly<Record<string, unknown>>,
  named: string | undefined,
) {
  const name = named ?? config.dialect ?? (Array.isArray(body.messages) ? 'openai' : undefined)
  if (name === undefined || config.surface === 'text') return undefined
  const isPrompt = body.messages === undefined && body.prompt !== undefined
  if (name === 'openai' && isPrompt) return app.dialects.get('openai-completion')
  if (name === 'ollama' && isPrompt) return app.dialects.get('ollama-generate')
  return app.dialects.get(name)
}

type Words = Pick<AutoFacts, 'text' | 'firstText' | 'system' | 'continues'>

/** Undefined for an invalid request, which its route reports. */
function wordsIn(read: () => ChatRequest): Words | undefined {
  try {
    return wordsOfChat(read())
  } catch {
    return undefined
  }
}

function wordsOfChat({ messages }: ChatRequest): Words {
  const textOf = ({ parts }: ChatRequest['messages'][number]): string =>
    parts.flatMap((part) => (part.type === 'text' ? [part.text] : [])).join('\n')
  const userTexts = messages.filter(({ role }) => role === 'user').map(textOf)
  const spoken = userTexts.filter((text) => text.trim() !== '')
  const system = messages.filter(({ role }) => role === 'system').map(textOf)
  return {
    text: spoken.at(-1) ?? '',
    firstText: spoken[0] ?? '',
    system: system.join('\n'),
    continues: messages.some(({ role }) => role === 'assistant' || role === 'tool'),
  }
}

/** Members that contain no user text. */
const nonTextMembers: ReadonlySet<string> = new Set([
  'model',
  'model_name',
  'language',
  'system_prompt',
  'prompt',
])

function wordsOfStrings(body: Readonly<Record<string, unknown>>): Words {
  const strings: string[] = []
  const collect = (value: unknown): void => {
    if (typeof value === 'string') strings.push(value)
    else if (Array.isArray(value)) value.forEach(collect)
    else if (isObject(value)) Object.values(value).forEach(collect)
  }
  for (const [name, value] of Object.entries(body)) if (!nonTextMembers.has(name)) collect(value)
  const history = body.historical_messages
  return {
    text: strings.at(-1) ?? '',
    firstText: strings[0] ?? '',
    system: '',
    continues: Array.isArray(history) && history.length > 0,
  }
}
