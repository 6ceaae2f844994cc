import type { Edit, JsonScan } from '../lib/json/splice.ts'
import type { ChatEvent, ChatRequest, ChatResponse, Usage } from './chat.ts'
import type { DialectContents } from './content.ts'
import type { EmbeddingCodec } from './embedding.ts'
import type { RouterError } from './errors.ts'
import type { Profile } from './profile.ts'
import type { Operation } from './provider.ts'

/** Features that a chat may use and a server may lack. */
export type ContentFeature = 'image' | 'audio' | 'video' | 'file' | 'tools' | 'schema' | 'adapter'

/** Reports a field that the other side cannot carry: one log line and the `x-llm-router-lost` header. */
export type Drop = (field: string, why: string) => void

/**
 * How a server differs from the plain form of its dialect. Absent means the plain form.
 * Sources: the vendors' API references; see the provider file that sets each one.
 */
export interface Flavour {
  /** Wire name of the multiplicative repetition penalty; absent: the server has none. */
  repetitionPenalty?: 'repetition_penalty' | 'repeat_penalty'
  /** Sampling fields beyond OpenAI's own that the server reads, by wire name. */
  samplingExtensions?: readonly ('top_k' | 'min_p' | 'typical_p')[]
  /** `max_completion_tokens` for OpenAI itself, whose newer models refuse `max_tokens`. */
  maxTokensField?: 'max_tokens' | 'max_completion_tokens'
  /** Whether the server has `prompt_cache_key` and `verbosity`, as OpenAI's own. */
  promptOptions?: boolean
  /** Whether the server knows the role `developer`; others get `system`. */
  developerRole?: boolean
  /** Whether `response_format: {type: "json_object"}` is known; others get an open JSON schema. */
  jsonObject?: boolean
  /** `value`: `response_format` is `{type: "json", value: schema}`, TGI's own form. */
  schemaIn?: 'value'
  /** Whether `tool_choice` may name a function; others get `required` with only that tool. */
  namedToolChoice?: boolean
  /** False: chat completions have no `custom` tools, which are sent as functions with one text. */
  customTools?: false
  /** Whether thoughts of earlier turns may be sent back, and under which names. */
  reasoningHistory?: readonly ('reasoning_content' | 'reasoning')[]
  /** Reasoning levels the server knows, lowest first. Levels outside are moved to the nearest. */
  reasoningEfforts?: readonly string[]
}

export interface WriteRequestOptions {
  /** The upstream's name of the model. */
  model: string
  flavour: Flavour
  /** Handling of system turns after the first message; absent: `fold`. */
  systemTurns?: SystemTurns | undefined
  drop: Drop
  /** Limits of the model; absent: unknown. */
  profile?: Profile | undefined
}

/** System turns after the first message: sent unchanged, or as user text. */
export type SystemTurns = 'keep' | 'fold'

/** Properties of the response that a writer writes. */
export interface AnswerContext {
  /** The name that the client asked for; the only model name in a response. */
  model: string
  /** Random part of ids, 24 characters or more, the same for a whole answer. */
  id: string
  /** Unix seconds, the same for a whole answer. */
  created: number
  /** Whether the client asked for token counts in the stream. */
  includeUsage: boolean
  /** Milliseconds since the request arrived (monotonic); durations are taken from it. */
  elapsedMs(): number
  /** The wall clock, for times in answers. */
  now(): Date
  /** The client's body, for dialects whose responses depend on it. */
  request?: Record<string, unknown>
}

/** Turns upstream bytes into events. {@link ChatEvent} describes its guarantees. */
export interface ChatStreamReader {
  /** Reads one chunk, cut anywhere. Nothing is emitted after `end` or `error`. */
  push(chunk: Uint8Array, emit: (event: ChatEvent) => void): void
  /**
   * The upstream closed cleanly: emits `end` if the answer is complete, else `error`. `isComplete`: HTTP's own framing says
   * that nothing is missing; a body that ends with its connection may have been cut.
   */
  end(emit: (event: ChatEvent) => void, isComplete?: boolean): void
}

/** Turns events into what the client receives; an empty string where an event has no bytes. */
export interface ChatStreamWriter {
  /** `error` gives the in-band error of the dialect and no end marker; after `end` or `error` nothing follows. */
  write(event: ChatEvent): string
}

/** What a passthrough observed in the forwarded bytes. */
export interface PassthroughState {
  /** A content event (or the end) has been seen: the response may be committed. */
  content: boolean
  /** The dialect's own end of stream was seen; everything after it is dropped. */
  ended: boolean
  /** The upstream reported an error in its stream, or sent what cannot be read. */
  failure: RouterError | undefined
  usage: Usage | undefined
  /** In a translation: the upstream's finish reason, if it is unknown. */
  unknownReason?: string | undefined
  /** Id by which a later request continues this answer. */
  answerId?: string | undefined
}

/** Passthrough of a stream: bytes are forwarded, and only the value of `model` is replaced. */
export interface ChatPassthrough {
  readonly state: PassthroughState
  /** Takes one chunk, cut anywhere; gives the bytes for the client, or undefined: whole events, but for very long ones. */
  push(chunk: Buffer): Buffer | undefined
  /**
   * The upstream closed cleanly; sets `failure` unless the stream was complete. `isComplete`: as for {@link ChatStreamReader}.
   */
  end(isComplete?: boolean): Buffer | undefined
  /** What ends an event of which a part went out, so that an error can follow; empty where there is none. */
  endTorn?(): string
  /** The in-band error that fits the forwarded bytes; undefined: the dialect's own. */
  writeError?(error: RouterError): string | undefined
}

export interface PassthroughOptions {
  /** The name the client asked for, which replaces the upstream's. */
  model: string
  /** Whether the usage chunk was asked for by the router alone and is to be kept from the client. */
  stripUsage: boolean
  /** Number of answers (choices) that the client's `n` asks for. */
  choices: number
  /** The client's body, without long members. */
  request?: Readonly<Record<string, unknown>>
}

/** What the router takes from a whole answer that goes to a client of the same dialect as it came. */
export interface CheckedAnswer {
  usage: Usage | undefined
  /** Id by which a later request continues this answer. */
  answerId?: string | undefined
  /** Members to set in place of the upstream's. */
  members?: Record<string, unknown>
}

/** Puts a stream together into the whole answer that the server would have given to the same request without one. */
export interface AnswerCollector {
  /** Something of the answer has come. */
  readonly content: boolean
  /** The dialect's own end of stream was seen. */
  readonly done: boolean
  /** The upstream reported an error in its stream, or sent what cannot be read. */
  readonly failure: RouterError | undefined
  /** Takes one chunk, cut anywhere. */
  push(chunk: Buffer): void
  /** The whole answer as JSON, after the end of the stream; undefined, with `failure` set, where it is not complete. */
  end(): Buffer | undefined
}

/** How a whole answer is asked for as a stream. */
export interface WholeAsStream {
  /** Whether the stream for this upstream body says all that the whole answer would. */
  fits(body: Readonly<Record<string, unknown>>): boolean
  createCollector(): AnswerCollector
}

/** What a dialect may change in a forwarded request besides `model`. */
export interface PassthroughRequest {
  bytes: Buffer
  scan: JsonScan
  body: Record<string, unknown>
  stream: boolean
  /** Whether token counts are wanted for metrics. */
  wantUsage: boolean
  /** The server is that of the vendor whose dialect it is. */
  isVendor?: boolean
}

export interface PassthroughEdits {
  edits: Edit[]
  stripUsage: boolean
  /** What the edits change that matters to no answer; logged once. */
  notices?: readonly string[]
}

export interface ContextLimits {
  /** Context length of the model in tokens; 0 when unknown. */
  readonly inputSize: number
  /** Whether the context length is to be chosen where nothing says it. */
  readonly autoContext?: boolean
}

export interface ChatCodec {
  /**
   * Throws `bad_request` for a body that does not fit the dialect's schema. Called before a request is read, with a body
   * whose long strings may be cut; never for a passthrough, whose server decides. Absent: the route has checked it.
   */
  checkRequest?(body: unknown): void
  /** Reads a checked client request. Throws `bad_request` with the path of an invalid field. */
  readRequest(body: Record<string, unknown>, stream: boolean): ChatRequest
  writeRequest(request: ChatRequest, options: WriteRequestOptions): Record<string, unknown>
  /**
   * Checks that a whole upstream answer may go to a client of the same dialect as it came. What the model wrote is never
   * judged. Throws `upstream_error` for one that reports an error, and for what is no answer.
   */
  checkAnswer(body: unknown, context: AnswerContext): CheckedAnswer
  /** Reads a whole upstream answer; throws `upstream_error` for what {@link ChatCodec.checkAnswer} does. */
  readResponse(body: unknown): ChatResponse
  writeResponse(response: ChatResponse, context: AnswerContext): Record<string, unknown>
  createReader(): ChatStreamReader
  createWriter(context: AnswerContext): ChatStreamWriter
  createPassthrough(options: PassthroughOptions): ChatPassthrough
  /** Edits of a forwarded request; `stripUsage`: whether the client must not see the usage chunk that they ask for. */
  passthroughEdits(request: PassthroughRequest): PassthroughEdits
  /** For servers that do not detect a disconnected client during a whole response; absent: not supported by the dialect. */
  readonly wholeAsStream?: WholeAsStream
  /** Default of `stream` in this dialect. */
  readonly streamsByDefault: boolean
  /**
   * The operator's defaults for members missing in an upstream's body, as its new or changed members. They may use the
   * names of any dialect.
   */
  missingDefaults(
    body: Record<string, unknown>,
    defaults: Record<string, unknown>,
    flavour?: Flavour,
  ): Record<string, unknown>
  /** Members of a translated request that neither its client nor the operator sets. */
  readonly translatedMembers?: Readonly<Record<string, unknown>>
  /**
   * The members of a client's body that make the prompt, in the order in which chat templates write them; the last one is the
   * list of messages. Absent: strategies see no prefix keys.
   */
  readonly promptMembers?: readonly string[]
  /** Members that only configure `tools`, besides those of OpenAI's and Anthropic's chats. */
  readonly toolMembers?: readonly string[]
  /** What a body shows of the features that a server may lack, where it is not shaped as those of the other dialects. */
  features?(body: Readonly<Record<string, unknown>>): Iterable<ContentFeature>
  /**
   * For servers that cut a prompt in silence: the members to set in an upstream body so that its prompt fits. Throws
   * `context_overflow` when it cannot.
   */
  fitContext?(body: Record<string, unknown>, limits: ContextLimits): Record<string, unknown>
}

/** How the servers of a dialect count the tokens of a chat's prompt. */
export interface CountCodec {
  /** Members of a client's chat body that belong to the answer, which a count does not have. */
  readonly answerMembers: readonly string[]
  /** The member of the answer that has the number. */
  readonly member: string
  /** The body that asks for the count of a chat body; absent: it is that chat body, without the members of the answer. */
  writeRequest?(chat: Record<string, unknown>, model: string): Record<string, unknown>
}

export interface ErrorOptions {
  /** On the router's own paths the answer also carries the older `status` and `body` members. */
  ownPath: boolean
  /** Whether `causeCode` may be shown. */
  debug: boolean
  requestId: string
}

/** A wire format, read and written in both directions. */
export interface Dialect {
  readonly name: string
  /** Content type of streamed answers. */
  readonly streamMediaType: string
  /** Bytes without meaning that may be sent between two events to keep a stream alive; absent: not possible. */
  readonly ping?: string
  readonly chat: ChatCodec
  /**
   * Set if this is another surface of a dialect: targets of that dialect with the operation get a client's
   * bytes unchanged, others get a chat.
   */
  readonly native?: { dialect: string; operation: Operation }
  /** Name of the dialect in which servers of this one continue a text without a chat around it. */
  readonly completions?: string
  /** Absent: none of its servers count. */
  readonly count?: CountCodec
  /** Absent: the dialect has no embeddings. */
  readonly embedding?: EmbeddingCodec
  /** Where content is located in requests and responses. Absent: processors that fail closed reject its requests. */
  readonly contents?: DialectContents
  writeError(error: RouterError, options: ErrorOptions): Record<string, unknown>
  /** HTTP status of an error in this dialect, if it differs from the error's own. */
  errorStatus(error: RouterError): number
  /** The in-band error: whole event(s), ready to follow a complete one. */
  writeStreamError(error: RouterError, options: ErrorOptions): string
}
