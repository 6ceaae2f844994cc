import type {
  ChatMessage,
  FinishReason,
  ReasoningEffort,
  ResponseFormat,
  Sampling,
  ToolCall,
  ToolChoice,
  ToolDefinition,
  Usage,
  UserPart,
} from './chat.ts'

/** A message in a short form. A message of the canonical chat ({@link ChatMessage}) is accepted too. */
export type QuestionMessage =
  | { role: 'system'; content: string }
  | { role: 'user'; content: string | readonly UserPart[] }
  | { role: 'assistant'; content?: string | null; toolCalls?: readonly ToolCall[] }
  | { role: 'tool'; callId: string; content: string }
  | ChatMessage

/** A question of an extension to a model, with sampling as in {@link Sampling}; absent values use the model's configuration. */
export interface Question extends Omit<Sampling, 'n' | 'logprobs' | 'topLogprobs'> {
  /** Name of a model in models-config.json. */
  model: string
  messages: readonly QuestionMessage[]
  tools?: readonly ToolDefinition[]
  toolChoice?: ToolChoice
  parallelToolCalls?: boolean
  /** In `{ type: 'schema', schema }`, `schema` is a JSON Schema; a TypeBox schema is one. */
  responseFormat?: ResponseFormat
  reasoningEffort?: ReasoningEffort
  /** Aborts the question. A disconnect of the client always does. */
  signal?: AbortSignal
}

/** A document from which passages were added to a request. */
export interface AnswerSource {
  /** The number by which the model cites it: [1], [2] ... */
  number: number
  /** Name of the retrieval processor that found it. */
  retrieval: string
  title?: string
  /** A path, a URL or an id. */
  source?: string
  /** Relevance: higher is better. */
  score?: number
}

/** A complete answer. */
export interface Answer {
  /** Name of the model that answered; a fallback model if that of the question failed. */
  model: string
  /** Empty if there are only tool calls or a refusal. */
  text: string
  /** Reasoning before the answer; empty if there was none. */
  reasoning: string
  refusal?: string
  toolCalls: ToolCall[]
  finishReason: FinishReason
  /** Undefined if the upstream did not report it. */
  usage: Usage | undefined
  /** Absent: nothing was added to the question. */
  sources?: readonly AnswerSource[]
}

/** An event of a streamed answer. `end` is the last one; a failure after the first one is thrown. */
export type AnswerEvent =
  | { type: 'text'; text: string }
  | { type: 'reasoning'; text: string }
  | { type: 'refusal'; text: string }
  /** A complete tool call. */
  | ({ type: 'tool-call' } & ToolCall)
  | { type: 'end'; model: string; finishReason: FinishReason; usage: Usage | undefined }
