import { Type } from '@sinclair/typebox'
import type { ChatMessage, ChatRequest, Sampling } from '../../sdk/chat.ts'
import { RouterError } from '../../sdk/errors.ts'
import type { Target } from '../../sdk/target.ts'
import type { SharedBody, TextEndpoint } from '../../sdk/text-endpoint.ts'

/** Required fields are missing. Legacy clients recognize this error by its shape. */
export class MissingArguments extends RouterError {
  constructor(endpoint: string, names: readonly [string, ...string[]]) {
    const list = names.map((name) => `'${name}'`).join(', ')
    super('bad_request', `Missing required argument(s) [${list}] for endpoint ${endpoint}`, {
      code: 'missing_required_parameter',
      param: names[0],
    })
  }

  /** Value of `body` in the legacy format. */
  get legacyBody(): { error: string; message: string } {
    return { error: 'No required parameters!', message: this.message }
  }
}

/** Throws MissingArguments with every missing required field. */
export function checkRequired(endpoint: TextEndpoint, body: Readonly<Record<string, unknown>>): void {
  const missing = requiredOf(endpoint, body).filter((name) => isAbsent(body[name]))
  if (isAbsent(body.model) && isAbsent(body.model_name)) missing.unshift('model_name')
  const [first, ...others] = missing
  if (first !== undefined) throw new MissingArguments(endpoint.name, [first, ...others])
}

function requiredOf(endpoint: TextEndpoint, body: Readonly<Record<string, unknown>>): string[] {
  const always = Type.Object(endpoint.fields).required ?? []
  const sometimes = Object.entries(endpoint.requiredUnless ?? {}).filter(([, other]) => isAbsent(body[other]))
  return [...always, ...sometimes.map(([name]) => name)]
}

function isAbsent(value: unknown): boolean {
  return value === undefined || value === null
}

/** Requested alias; `model` takes precedence over `model_name`. */
export function modelNameOf(body: SharedBody): string {
  return body.model ?? body.model_name ?? ''
}

/** Sampling parameters that the client sent, without defaults. */
export function samplingOf(body: SharedBody): Sampling {
  const sampling: Partial<Record<keyof Sampling, number | null | undefined>> = {
    maxTokens: body.max_tokens ?? body.max_new_tokens,
    temperature: body.temperature,
    topP: body.top_p,
    topK: body.top_k,
    typicalP: body.typical_p,
    repetitionPenalty: body.repetition_penalty,
  }
  return Object.fromEntries(Object.entries(sampling).filter(([, value]) => !isAbsent(value)))
}

/** Sampling that the Python llm-router sent by default with every text endpoint's request. */
const pythonDefaults: Readonly<Sampling> = {
  temperature: 0.75,
  maxTokens: 256,
  topK: 50,
  topP: 0.99,
  typicalP: 1,
  repetitionPenalty: 1.2,
}

/**
 * Provider types without sampling defaults. The Python llm-router sent none to OpenAI, whose reasoning models reject
 * them, as do Anthropic's newer models.
 */
const withoutDefaults: ReadonlySet<string> = new Set(['openai', 'anthropic'])

/** Sampling per target where neither the client nor the configuration sets it. */
export function defaultsOf(endpoint: TextEndpoint): (target: Target) => Sampling {
  const defaults = endpoint.defaults ?? pythonDefaults
  return (target) => (withoutDefaults.has(target.type.name) && !endpoint.defaults ? {} : defaults)
}

export interface TextChat {
  model: string
  stream: boolean
  sampling: Sampling
  /** Empty for no system message. */
  system: string
  history: readonly ChatMessage[]
  text: string
}

/**
 * Builds the chat request of a text endpoint. The client's text stays in user messages, never in the system message.
 */
export function textChat({ model, stream, sampling, system, history, text }: TextChat): ChatRequest {
  const systemMessage: ChatMessage[] = system === '' ? [] : [systemOf(system)]
  return {
    model,
    stream,
    includeUsage: false,
    messages: [...systemMessage, ...history, { role: 'user', parts: [{ type: 'text', text }] }],
    tools: [],
    sampling,
    extras: {},
  }
}

export function systemOf(text: string): ChatMessage {
  return { role: 'system', developer: false, parts: [{ type: 'text', text }] }
}
