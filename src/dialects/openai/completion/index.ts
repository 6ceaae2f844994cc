import { filledTextOf, isObject, type JsonObject, numberOf, present } from '../../../lib/json/read.ts'
import type { ChatMessage, ChatRequest } from '../../../sdk/chat.ts'
import { bodyAssertion } from '../../../sdk/checks/body.ts'
import type { Dialect } from '../../../sdk/dialect.ts'
import { badRequest } from '../../../sdk/errors.ts'
import type { Flavour } from '../../../sdk/profile.ts'
import type { WriteRequestOptions } from '../../../sdk/write-options.ts'
import { unknownMembers } from '../../shared/dropped-fields.ts'
import { reportOllamaMembers } from '../../shared/ollama-members.ts'
import { readJsonConstraint } from '../../shared/output-constraints.ts'
import { readSampling, writeSampling } from '../../shared/sampling.ts'
import { completionContents } from '../contents/index.ts'
import { openai } from '../index.ts'
import { completionSampling, defaultsFor } from '../request/sampling.ts'
import { OpenaiCompletionBody } from '../request/schema.ts'
import { createWriter, readResponse, writeResponse } from './answer.ts'

/**
 * OpenAI's legacy completions, a second surface of its dialect. Servers that support them receive the request unchanged,
 * others receive a chat. Source: OpenAI API reference, "Completions (legacy)".
 */
export const openaiCompletion: Dialect = {
  ...openai,
  name: 'openai-completion',
  native: { dialect: 'openai', operation: 'completion' },
  contents: completionContents,
  chat: {
    ...openai.chat,
    checkRequest: bodyAssertion(OpenaiCompletionBody),
    readRequest,
    writeRequest,
    readResponse,
    writeResponse,
    createWriter,
    missingDefaults,
    promptMembers: ['prompt'],
    createPassthrough: ({ request, ...options }) =>
      openai.chat.createPassthrough({ ...options, choices: options.choices * promptsIn(request?.prompt) }),
  },
}

/** A list of numbers is one prompt. */
function promptsIn(prompt: unknown): number {
  return Array.isArray(prompt) && typeof prompt[0] !== 'number' ? prompt.length : 1
}

/**
 * Reads a body of `POST /v1/completions` as a chat with one user turn. A `suffix` needs a server with text completion. Throws
 * `bad_request` for several prompts and for token ids, which only such servers accept.
 */
function readRequest(body: JsonObject, stream: boolean): ChatRequest {
  const suffix = filledTextOf(body.suffix)
  const { format, others } = readJsonConstraint(readExtras(body))
  return {
    model: filledTextOf(body.model) ?? filledTextOf(body.model_name) ?? '',
    stream,
    includeUsage: isObject(body.stream_options) && body.stream_options.include_usage === true,
    messages: [{ role: 'user', parts: [{ type: 'text', text: onePrompt(body.prompt) }] }],
    tools: [],
    sampling: readSampling(completionSampling, body),
    extras: others,
    ...(suffix === undefined ? {} : { completion: { raw: false, suffix } }),
    ...present({ responseFormat: format, user: filledTextOf(body.user) }),
  }
}

function onePrompt(prompt: unknown): string {
  const list: unknown[] = Array.isArray(prompt) ? prompt : [prompt]
  const [text] = list
  if (list.length === 1 && typeof text === 'string') return text
  throw badRequest(
    "The upstream of this model accepts a single text prompt; send 'prompt' as a string",
    'prompt',
  )
}

/** `best_of` greater than `n` is reported, because other dialects have no equivalent. */
function readExtras(body: JsonObject): JsonObject {
  const best = numberOf(body.best_of) ?? 1
  return {
    ...unknownMembers(body, OpenaiCompletionBody.properties),
    ...(best > (numberOf(body.n) ?? 1) ? { best_of: best } : {}),
  }
}

/** The body for a prompt that is to be continued verbatim. Throws `bad_request` for images. */
function writeRequest(request: ChatRequest, options: WriteRequestOptions): JsonObject {
  const { drop } = options
  reportOllamaMembers(request.ollama, drop)
  for (const name of Object.keys(request.extras)) drop(name, 'OpenAI completions have no such field')
  if (request.responseFormat) drop('format', 'OpenAI completions have no output format')
  if (request.reasoningEffort) drop('think', 'OpenAI completions have no reasoning')
  return {
    model: options.model,
    prompt: request.messages.map(promptText).join('\n\n'),
    stream: request.stream,
    ...(request.stream ? { stream_options: { include_usage: true } } : {}),
    ...writeSampling(completionSampling, request.sampling, options),
    ...present({ suffix: request.completion?.suffix, user: request.user }),
  }
}

function promptText({ parts }: ChatMessage): string {
  return parts
    .map((part) => {
      if (part.type === 'text' || part.type === 'refusal') return part.text
      throw badRequest(
        'The upstream of this model does not accept images with a raw prompt or a suffix',
        'images',
      )
    })
    .join('')
}

/** Defaults for chats that completions do not support. */
const chatOnly: readonly string[] = [
  'tools',
  'tool_choice',
  'parallel_tool_calls',
  'response_format',
  'reasoning_effort',
  'chat_template_kwargs',
]

function missingDefaults(body: JsonObject, defaults: JsonObject, flavour: Flavour = {}): JsonObject {
  const supported = Object.fromEntries(Object.entries(defaults).filter(([name]) => !chatOnly.includes(name)))
  return defaultsFor(completionSampling, body, supported, flavour)
}
