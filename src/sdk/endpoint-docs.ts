import type { TSchema } from '@sinclair/typebox'
import type { Operation } from './operation.ts'

/** The groups of endpoints in the API documentation, in the order of its page. */
export const docsTags = {
  OpenAI: 'For OpenAI clients: chat completions, Responses, legacy completions, embeddings.',
  Anthropic: 'For Anthropic clients.',
  Gemini: 'For Gemini clients.',
  Ollama: 'For Ollama clients.',
  'LM Studio': "LM Studio's own paths: OpenAI's requests, with additional statistics.",
  Models: 'Model lists in the format of each dialect.',
  Forwarded: 'Requests that are forwarded unchanged except for the model name.',
  'Text endpoints': 'Ready-made text tasks with prompts from the library.',
  Operation: 'For operators.',
  Administration: 'Clients, groups, keys and usage in the database; changes require the role admin.',
  Extensions: 'Added by the modules in LLM_ROUTER_EXTENSIONS.',
  'Other paths': 'The same endpoints at alternative paths that clients use.',
} as const

/** One form of a successful response. */
export interface AnswerDocs {
  /** Its content type. */
  type: string
  description: string
  schema?: TSchema
}

/** Documentation of an endpoint, in addition to what its route declares: path, method, body schema and dialect. */
export interface EndpointDocs {
  /** The operationId of its first path; those of other paths are derived from it. */
  id: string
  tag: Exclude<keyof typeof docsTags, 'Other paths'>
  /** One short sentence without a full stop. */
  summary: string
  description?: string
  /** Operations of which a server must support one. Absent: the router responds itself. */
  operations?: readonly Operation[]
  /** What the router does if no server supports any of `operations`. */
  otherwise?: string
  /** Empty: always returns an error. */
  answers: readonly AnswerDocs[]
  /** Status, if other than 200. */
  status?: string
  /** Path parameters by their name in the route: display name and description. `*` is the rest of the path. */
  path?: Readonly<Record<string, { name: string; description: string; example?: string }>>
  query?: Readonly<Record<string, TSchema>>
  /** A body that is not JSON; the route has no schema for it. */
  form?: { type: string; schema: TSchema }
  /** A request body that gets a 2xx. The model `demo` is the embedded one; other names require a server. */
  example?: Readonly<Record<string, unknown>>
}

/** Documents a JSON response. */
export function json(description: string, schema: TSchema): AnswerDocs {
  return { type: 'application/json', description, schema }
}

/** Documents a response of server-sent events. */
export function events(description: string): AnswerDocs {
  return { type: 'text/event-stream', description }
}

/** Documents a response of one JSON object per line. */
export function lines(description: string): AnswerDocs {
  return { type: 'application/x-ndjson', description }
}
