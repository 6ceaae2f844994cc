import { type Static, type TObject, type TProperties, type TSchema, Type } from '@sinclair/typebox'
import type { ChatMessage, Sampling } from './chat.ts'

/** What an endpoint's functions see of a request: its own fields, checked, with texts of numbers read as numbers. */
export type TextBody<Fields extends TProperties> = Static<TObject<Fields>>

/** Where the system message comes from. The parts that are there are joined by empty lines. */
export interface SystemPrompt {
  /** Id in the prompt library; `*` in the place of the language is the language of the request. */
  prompt?: string
  /** Values of the placeholders, without their `##`. `language` is that of the prompt that was found. */
  variables?(language: string | undefined): Record<string, string>
  /** Stands in place of the prompt's text, with the same placeholders; blank counts as absent. */
  instead?: string | null | undefined
  /** Follows the prompt; blank counts as absent. */
  append?: string | null | undefined
  /** A prompt that the client names; it goes before `prompt`. */
  named?: { id: string; variables?: Record<string, string> | null } | null | undefined
}

interface TextEndpointParts<Fields extends TProperties> {
  /** Last part of its paths: `P/<name>`, `/builtin/<name>`, `P/builtin/<name>`. */
  readonly name: string
  /** What it does, in one sentence; shown in the list of endpoints. */
  readonly summary: string
  /** Its own fields, beside those that all share ({@link sharedFields}). */
  readonly fields: Fields
  /** Required fields that another one may replace: `{ system_prompt: 'prompt' }`. Declare them as optional. */
  readonly requiredUnless?: Readonly<Record<string, string>>
  /** Sampling for what request and configuration leave out; absent: the Python llm-router's. */
  readonly defaults?: Readonly<Sampling>
  /** Its own fields in a request that the API documentation shows. */
  readonly example?: TextBody<Fields>
  system(body: TextBody<Fields>): SystemPrompt
}

/** Asks the model once. A streamed answer is that of a chat. */
export interface OneTextEndpoint<Fields extends TProperties, Response extends TSchema>
  extends TextEndpointParts<Fields> {
  /** The form of `response`. */
  readonly response: Response
  /** The user's message. `language` is that of the prompt that was found. */
  text(body: TextBody<Fields>, language: string | undefined): string
  /** What stands between the system message and the user's. */
  history?(body: TextBody<Fields>): ChatMessage[]
  /** Reads the model's answer. Members other than `response` are placed at the top level of the result. */
  answer(text: string, body: TextBody<Fields>): { response: Static<Response>; [member: string]: unknown }
}

/** Asks the model once for each of several texts, side by side. A streamed answer has an event for each text. */
export interface EachTextEndpoint<Fields extends TProperties, Item extends TSchema>
  extends TextEndpointParts<Fields> {
  /** The form of one entry of `response`. */
  readonly item: Item
  /** The user's messages, one per call. */
  texts(body: TextBody<Fields>): readonly string[]
  /** Reads the model's answer to one text. */
  result(answer: string, asked: string, body: TextBody<Fields>): Static<Item>
}

/**
 * A text endpoint, declared: what it takes, which prompt it uses, how the messages are built, how the answer is read.
 * Its functions are pure; what is wrong with a request beyond its schema they throw as `badRequest`.
 */
export type TextEndpoint<Fields extends TProperties = TProperties, Result extends TSchema = TSchema> =
  | OneTextEndpoint<Fields, Result>
  | EachTextEndpoint<Fields, Result>

/** A field that may be left out; `null` says the same. */
export function optional<Schema extends TSchema>(schema: Schema) {
  return Type.Optional(Type.Union([schema, Type.Null()]))
}

/** The fields of every text endpoint: those of the Python llm-router, `model` and `max_tokens` as synonyms, and ours. */
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

/** Of endpoints with several texts: whether the finished ones are wanted although others failed. */
const partial = { partial: optional(Type.Boolean()) }

export type SharedBody = Static<TObject<typeof sharedFields & typeof partial>>

/** The schema of a whole request body. Open: fields that no one knows are dropped, as they always were. */
export function bodySchema(endpoint: TextEndpoint): TObject {
  return Type.Object({ ...sharedFields, ...('texts' in endpoint ? partial : {}), ...endpoint.fields })
}
