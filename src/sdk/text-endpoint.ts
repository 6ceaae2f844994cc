import { type Static, type TObject, type TProperties, type TSchema, Type } from '@sinclair/typebox'
import type { ChatMessage, Sampling } from './chat.ts'

/** Validated fields of a request, with numeric strings converted to numbers. */
export type TextBody<Fields extends TProperties> = Static<TObject<Fields>>

/** Sources of the system message, joined by empty lines. */
export interface SystemPrompt {
  /** Id in the prompt library; `*` as its language part selects the request's language. */
  prompt?: string
  /** Values of the placeholders, by name without `##`. `language` is that of the prompt that was found. */
  variables?(language: string | undefined): Record<string, string>
  /** Replaces the prompt's text, with the same placeholders; blank counts as absent. */
  instead?: string | null | undefined
  /** Follows the prompt; blank counts as absent. */
  append?: string | null | undefined
  /** A prompt named by the client; precedes `prompt`. */
  named?: { id: string; variables?: Record<string, string> | null } | null | undefined
}

interface TextEndpointParts<Fields extends TProperties> {
  /** Last part of its paths: `P/<name>`, `/builtin/<name>`, `P/builtin/<name>`. */
  readonly name: string
  /** Description in one sentence, shown in the list of endpoints. */
  readonly summary: string
  /** Fields in addition to {@link sharedFields}. */
  readonly fields: Fields
  /** Fields that are required unless another one is present: `{ system_prompt: 'prompt' }`. Declare them as optional. */
  readonly requiredUnless?: Readonly<Record<string, string>>
  /** Sampling defaults, used if neither request nor configuration sets a value; absent: those of the Python llm-router. */
  readonly defaults?: Readonly<Sampling>
  /** Values of `fields` in the example request of the API documentation. */
  readonly example?: TextBody<Fields>
  system(body: TextBody<Fields>): SystemPrompt
}

/** A text endpoint that asks the model once. A streamed response is that of a chat. */
export interface OneTextEndpoint<Fields extends TProperties, Response extends TSchema>
  extends TextEndpointParts<Fields> {
  /** Schema of the member `response`. */
  readonly response: Response
  /** The user's message. `language` is that of the prompt that was found. */
  text(body: TextBody<Fields>, language: string | undefined): string
  /** Messages between the system message and the user's. */
  history?(body: TextBody<Fields>): ChatMessage[]
  /** Reads the model's answer. Members other than `response` are placed at the top level of the result. */
  answer(text: string, body: TextBody<Fields>): { response: Static<Response>; [member: string]: unknown }
}

/** A text endpoint that asks the model for each of several texts concurrently. A streamed response has an event per text. */
export interface EachTextEndpoint<Fields extends TProperties, Item extends TSchema>
  extends TextEndpointParts<Fields> {
  /** Schema of one entry of `response`. */
  readonly item: Item
  /** The user's messages, one per request to the model. */
  texts(body: TextBody<Fields>): readonly string[]
  /** Reads the model's answer to one text. */
  result(answer: string, text: string, body: TextBody<Fields>): Static<Item>
}

/**
 * Declaration of a text endpoint: its fields, its prompt, how messages are built and how the response is read.
 * Its functions are pure and throw `badRequest` for errors that the schema does not cover.
 */
export type TextEndpoint<Fields extends TProperties = TProperties, Result extends TSchema = TSchema> =
  | OneTextEndpoint<Fields, Result>
  | EachTextEndpoint<Fields, Result>

/** An optional field; `null` counts as absent. */
export function optional<Schema extends TSchema>(schema: Schema) {
  return Type.Optional(Type.Union([schema, Type.Null()]))
}

/** The fields of every text endpoint: those of the Python llm-router, the synonyms `model` and `max_tokens`, and additions. */
export const sharedFields = {
  model: optional(Type.String({ minLength: 1 })),
  model_name: optional(Type.String({ minLength: 1 })),
  temperature: optional(Type.Number()),
  max_tokens: optional(Type.Integer({ minimum: 1 })),
  max_new_tokens: optional(Type.Integer({ minimum: 1 })),
  top_k: optional(Type.Integer()),
  top_p: optional(Type.Number()),
  typical_p: optional(Type.Number()),
  repetition_penalty: optional(Type.Number()),
  language: optional(Type.String()),
  stream: optional(Type.Boolean()),
}

/** For endpoints with several texts: whether to return the successful results even if others failed. */
const partial = { partial: optional(Type.Boolean()) }

export type SharedBody = Static<TObject<typeof sharedFields & typeof partial>>

/** Schema of a whole request body. Unknown fields are allowed and dropped, as in the Python llm-router. */
export function bodySchema(endpoint: TextEndpoint): TObject {
  return Type.Object({ ...sharedFields, ...('texts' in endpoint ? partial : {}), ...endpoint.fields })
}
