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

/** A message as a person writes it. A message of the canonical chat ({@link ChatMessage}) is accepted too. */
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
  /** `schema` of `{ type: 'schema', schema }` is a JSON Schema; one of TypeBox is such. */
  responseFormat?: ResponseFormat
  reasoningEffort?: ReasoningEffort
  /** Ends this question; the client's leaving always does. */
  signal?: AbortSignal
}

/** A document that passages were added to a request from. */
export interface AnswerSource {
  /** As the model knows it: [1], [2] ... */
  number: number
  /** Name of the retrieval that found it. */
  retrieval: string
  title?: string
  /** A path, an address or an id. */
  source?: string
  /** Of the search: more is better. */
  score?: number
}

/** A whole answer. */
export interface Answer {
  /** Name of the model that answered: a fallback where that of the question could not. */
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
  /** A call with all of its arguments. */
  | ({ type: 'tool-call' } & ToolCall)
  | { type: 'end'; model: string; finishReason: FinishReason; usage: Usage | undefined }
