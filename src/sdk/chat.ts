/**
 * The canonical chat: every dialect reads into these types and writes from them.
 * A new dialect needs one codec for this file, not a converter per existing dialect.
 */
import type { RouterError } from './errors.ts'
import type { Sampling } from './sampling.ts'

export type { Sampling }

/** Marks the end of a cacheable prefix, in Anthropic's form (`{type: 'ephemeral'}`); clients of other dialects send it too. */
export type CacheControl = Readonly<Record<string, unknown>>

export interface TextPart {
  type: 'text'
  text: string
  cacheControl?: CacheControl
}

export interface ImagePart {
  type: 'image'
  /** Standard base64 with its media type (`image/png`), or a URL that the upstream may fetch. */
  source: { kind: 'base64'; mediaType: string; data: string } | { kind: 'url'; url: string }
  detail?: string
  cacheControl?: CacheControl
}

export interface AudioPart {
  type: 'audio'
  /** Standard base64. */
  data: string
  /** `wav` or `mp3`. */
  format: string
  cacheControl?: CacheControl
}

export interface FilePart {
  type: 'file'
  /** As the client sent it: a data URL or base64. */
  data?: string
  /** URL (http or https) from which the model's server loads the file. */
  url?: string
  fileId?: string
  name?: string
  cacheControl?: CacheControl
}

export interface RefusalPart {
  type: 'refusal'
  text: string
  cacheControl?: CacheControl
}

export type UserPart = TextPart | ImagePart | AudioPart | FilePart
export type AssistantPart = TextPart | RefusalPart

export interface ToolCall {
  /** Present and unique within the conversation after reading, whatever the client sent. */
  id: string
  name: string
  /**
   * JSON text of an object; `{}` if the call has no arguments. In responses it is the model's output, which a token limit may
   * truncate and which small models may get wrong.
   */
  arguments: string
  /** Signature of the reasoning that led to the call (Gemini); useless to any other upstream. */
  signature?: string
  cacheControl?: CacheControl
  /** In a request: how many of the message's parts precede the call. Absent: all. */
  partsBefore?: number
  /** In a response: how much of the choice's text precedes the call, in UTF-16 code units. Absent: all. */
  textBefore?: number
}

export interface SystemMessage {
  role: 'system'
  /** Whether the client sent the role `developer`; only OpenAI's own models distinguish it from `system`. */
  developer: boolean
  parts: TextPart[]
  name?: string
}

export interface UserMessage {
  role: 'user'
  parts: UserPart[]
  name?: string
}

export interface AssistantMessage {
  role: 'assistant'
  parts: AssistantPart[]
  /** Reasoning before the answer; empty if there was none. */
  reasoning: string
  /** Signature of the reasoning (Anthropic); useless to any other upstream. */
  reasoningSignature?: string
  toolCalls: ToolCall[]
  name?: string
}

export interface ToolMessage {
  role: 'tool'
  /** Id of the call that produced this result; determined by the reader if the dialect does not carry it. */
  callId: string
  /** The called function, if known. */
  name?: string
  parts: UserPart[]
  /** The tool failed; the parts describe the failure (Anthropic `is_error`). */
  isError?: boolean
}

export type ChatMessage = SystemMessage | UserMessage | AssistantMessage | ToolMessage

export interface ToolDefinition {
  name: string
  description?: string
  /** JSON Schema of the arguments; absent means no arguments. */
  parameters?: Record<string, unknown>
  strict?: boolean
  cacheControl?: CacheControl
}

export type ToolChoice = 'none' | 'auto' | 'required' | { name: string }

/** `on`: the client asked for reasoning without naming a level. */
export type ReasoningEffort = 'none' | 'minimal' | 'low' | 'medium' | 'high' | 'xhigh' | 'max' | 'on'

export type ResponseFormat =
  | { type: 'text' }
  | { type: 'json' }
  | { type: 'schema'; schema: unknown; name?: string; description?: string; strict?: boolean }

export interface ChatRequest {
  /** The name the client asked for. */
  model: string
  stream: boolean
  /** Whether the client asked for token counts in the stream; true in dialects that always send them. */
  includeUsage: boolean
  messages: ChatMessage[]
  /** Whether a last assistant message is the beginning of the answer, as for Anthropic, Ollama and Gemini. */
  continuesAnswer?: boolean
  tools: ToolDefinition[]
  toolChoice?: ToolChoice
  parallelToolCalls?: boolean
  sampling: Sampling
  responseFormat?: ResponseFormat
  reasoningEffort?: ReasoningEffort
  /** Maximum reasoning tokens (Anthropic `thinking.budget_tokens`); `reasoningEffort` expresses the same as a level. */
  reasoningBudget?: number
  /** Ollama's residency and context options, for Ollama targets: `keep_alive`, `options.num_ctx`, ... */
  ollama?: { keepAlive?: string | number; options?: Record<string, unknown> }
  /**
   * Set if a chat cannot express the request: the prompt is to be continued verbatim (`raw`), or completed up to a given
   * `suffix`. Requires a target with the operation `completion`.
   */
  completion?: { raw: boolean; suffix?: string }
  user?: string
  /** Groups requests that share a prefix, for the prompt cache of OpenAI's own servers. */
  promptCacheKey?: string
  /** Requested length of the response: `low`, `medium` or `high`. */
  verbosity?: string
  /** Fields that the reader had to change or drop, with the reason. */
  dropped?: Readonly<Record<string, string>>
  /** Fields that the reader dropped although no response depends on them; logged once. */
  notices?: readonly string[]
  /** Unknown members by wire name; passed to targets of the same dialect. */
  extras: Record<string, unknown>
}

export type FinishReason = 'stop' | 'length' | 'tool_calls' | 'content_filter'

/** Token counts. `promptTokens` includes cached ones, `completionTokens` includes reasoning. */
export interface Usage {
  promptTokens: number
  completionTokens: number
  cachedTokens?: number
  /** Part of `promptTokens` that was written to a prompt cache. */
  cacheWriteTokens?: number
  reasoningTokens?: number
}

export interface TokenLogprob {
  token: string
  logprob: number
  /** UTF-8 bytes of the token; null if the engine does not report them. */
  bytes: number[] | null
  topLogprobs: { token: string; logprob: number; bytes: number[] | null }[]
}

/** Engine timings in nanoseconds, if the upstream reports them (Ollama). */
export interface Timings {
  totalNs?: number
  loadNs?: number
  promptNs?: number
  completionNs?: number
}

/** A source that a response cites. */
export interface Citation {
  /** Absent: a document that has none. */
  url?: string
  title?: string
  /** The cited passage of the source. */
  quote?: string
  /** The supported part of the text of the choice, in UTF-16 code units. Absent: all of it. */
  start?: number
  end?: number
}

/** An image or another file that the model generated. */
export interface GeneratedFile {
  mediaType: string
  /** Standard base64. */
  data: string
  /** How much of the choice's text precedes the file, in UTF-16 code units. Absent: all. */
  textBefore?: number
  /** How many of the choice's calls precede the file. Absent: none, apart from those before its text. */
  callsBefore?: number
}

export interface ChatChoice {
  index: number
  text: string
  reasoning: string
  reasoningSignature?: string
  refusal?: string
  toolCalls: ToolCall[]
  finishReason: FinishReason
  /** The upstream's finish reason if the router does not know it; `finishReason` is then `stop` or `tool_calls`. */
  unknownReason?: string
  /** The matched stop sequence, if the upstream reports it. */
  stopSequence?: string
  logprobs?: TokenLogprob[]
  citations?: Citation[]
  files?: GeneratedFile[]
}

export interface ChatResponse {
  id?: string
  /** Unix seconds. */
  created?: number
  systemFingerprint?: string
  choices: ChatChoice[]
  usage?: Usage
  timings?: Timings
}

/**
 * An event of a streamed response. `choice` is 0 unless the client asked for several choices; `call` counts
 * the tool calls of a choice from 0.
 *
 * Guarantees of a reader: `tool-call-start` occurs once per call with its final id and name, followed by deltas that
 * concatenate to the arguments as the model wrote them (see {@link ToolCall}), and `block-end` once per call. `finish` occurs
 * once per choice. The last event, for any input, is either `end` (the dialect's own end of stream was seen) or `error`.
 */
export type ChatEvent =
  | { type: 'start'; id?: string; created?: number; systemFingerprint?: string }
  | { type: 'text-delta'; choice: number; text: string; logprobs?: TokenLogprob[] }
  | { type: 'reasoning-delta'; choice: number; text: string; signature?: string }
  | { type: 'refusal-delta'; choice: number; text: string }
  /** Follows the text that it supports. */
  | { type: 'citation'; choice: number; citation: Citation }
  | { type: 'file'; choice: number; file: GeneratedFile }
  | { type: 'tool-call-start'; choice: number; call: number; id: string; name: string; signature?: string }
  | { type: 'tool-call-delta'; choice: number; call: number; arguments: string }
  | { type: 'block-end'; choice: number; call: number }
  | { type: 'usage'; usage: Usage; timings?: Timings }
  | { type: 'finish'; choice: number; reason: FinishReason; unknownReason?: string; stopSequence?: string }
  | { type: 'end' }
  | { type: 'error'; error: RouterError }

/** Whether an event commits the router to a response: once it has been sent, no other target is tried. */
export function isContent(event: ChatEvent): boolean {
  switch (event.type) {
    case 'text-delta':
    case 'reasoning-delta':
    case 'refusal-delta':
    case 'file':
    case 'tool-call-start':
    case 'tool-call-delta':
    case 'finish':
    case 'end':
      return true
    case 'start':
    case 'citation':
    case 'block-end':
    case 'usage':
    case 'error':
      return false
  }
}
