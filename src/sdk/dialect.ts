import type { Edit, JsonScan } from '../lib/json/splice.ts'
import type { ChatEvent, ChatRequest, ChatResponse, Usage } from './chat.ts'
import type { DialectContents } from './content.ts'
import type { EmbeddingCodec } from './embedding.ts'
import type { RouterError } from './errors.ts'
import type { Operation } from './operation.ts'
import type { Flavour } from './profile.ts'
import type { Drop, WriteRequestOptions } from './write-options.ts'

/** Features that a chat may use and a server may not support. */
export type ContentFeature = 'image' | 'audio' | 'video' | 'file' | 'tools' | 'schema' | 'adapter'

/** Properties of the response that a writer writes. */
export interface AnswerContext {
  /** The name that the client asked for; the only model name in a response. */
  model: string
  /** Random part of ids, at least 24 characters, the same throughout a response. */
  id: string
  /** Unix seconds, the same throughout a response. */
  created: number
  /** Whether the client asked for token counts in the stream. */
  includeUsage: boolean
  /** Milliseconds since the request arrived, from a monotonic clock. */
  elapsedMs(): number
  /** The wall clock, for timestamps in responses. */
  now(): Date
  /** The client's body, for dialects whose responses depend on it. */
  request?: Record<string, unknown>
  /** Reports content of a response that the client's dialect cannot carry. */
  drop?: Drop
}

/** Converts upstream bytes to events, with the guarantees described at {@link ChatEvent}. */
export interface ChatStreamReader {
  /** Reads one chunk, split at any byte. Nothing is emitted after `end` or `error`. */
  push(chunk: Uint8Array, emit: (event: ChatEvent) => void): void
  /**
   * Called when the upstream closed cleanly: emits `end` if the response is complete, otherwise `error`. `isComplete`: HTTP
   * framing shows that nothing is missing; a body delimited by the end of its connection may be truncated.
   */
  end(emit: (event: ChatEvent) => void, isComplete?: boolean): void
}

/** Converts events to the bytes of a stream to the client. */
export interface ChatStreamWriter {
  /**
   * Returns '' if the event has no bytes; for `error`, the in-band error without an end marker. Not called after `end` or
   * `error`.
   */
  write(event: ChatEvent): string
}

/** What a passthrough observed in the forwarded bytes. */
export interface PassthroughState {
  /** Content or the end was seen: the response may be committed. */
  content: boolean
  /** The dialect's own end of stream was seen; everything after it is dropped. */
  ended: boolean
  /** The upstream reported an error in its stream, or sent invalid data. */
  failure: RouterError | undefined
  usage: Usage | undefined
  /** Of a translation: the upstream's finish reason, if the router does not know it. */
  unknownReason?: string | undefined
  /** Id by which a later request can continue this response. */
  answerId?: string | undefined
}

/** Passthrough of a stream: bytes are forwarded, and only the value of `model` is replaced. */
export interface ChatPassthrough {
  readonly state: PassthroughState
  /** Takes one chunk, split at any byte. Returns bytes for the client, if any: whole events, except for very long ones. */
  push(chunk: Buffer): Buffer | undefined
  /**
   * Called when the upstream closed cleanly; sets `failure` unless the stream was complete. `isComplete`: see
   * {@link ChatStreamReader}.
   */
  end(isComplete?: boolean): Buffer | undefined
  /** Bytes that end a partially sent event, so that an error can follow; '' if there is none. */
  closeEvent?(): string
  /** The in-band error that fits the forwarded bytes; undefined: the dialect's own. */
  writeError?(error: RouterError): string | undefined
}

export interface PassthroughOptions {
  /** The name the client asked for, which replaces the upstream's. */
  model: string
  /** Whether to remove the usage chunk, because only the router asked for it. */
  stripUsage: boolean
  /** Number of choices that the client asked for (`n`). */
  choices: number
  /** The client's body, without long members. */
  request?: Readonly<Record<string, unknown>>
}

/** What the router reads from a whole response before it passes it through. */
export interface CheckedAnswer {
  usage: Usage | undefined
  /** Id by which a later request can continue this response. */
  answerId?: string | undefined
  /** Members that replace the upstream's. */
  members?: Record<string, unknown>
}

/** Assembles a stream into the whole response that the server would have sent without `stream`. */
export interface AnswerCollector {
  /** Content was seen. */
  readonly content: boolean
  /** The dialect's own end of stream was seen. */
  readonly done: boolean
  /** The upstream reported an error in its stream, or sent invalid data. */
  readonly failure: RouterError | undefined
  /** Takes one chunk, split at any byte. */
  push(chunk: Buffer): void
  /**
   * Called at the end of the stream. Returns the whole response as JSON; undefined, with `failure` set, if it is incomplete.
   */
  end(): Buffer | undefined
}

/** Requests whole responses as streams. */
export interface WholeAsStream {
  /** Whether a stream for this upstream body has all the information of the whole response. */
  fits(body: Readonly<Record<string, unknown>>): boolean
  createCollector(): AnswerCollector
}

/** A request that is forwarded to a target of the same dialect. */
export interface PassthroughRequest {
  bytes: Buffer
  scan: JsonScan
  body: Record<string, unknown>
  stream: boolean
  /** Whether token counts are wanted for metrics. */
  wantUsage: boolean
  /** The server is that of the vendor who defined the dialect. */
  isVendor?: boolean
}

/** What a dialect changes in a forwarded request besides `model`. */
export interface PassthroughEdits {
  edits: Edit[]
  /** Whether the client must not see the usage chunk that the edits request. */
  stripUsage: boolean
  /** Changes that no response depends on; logged once. */
  notices?: readonly string[]
}

export interface ContextLimits {
  /** Context length of the model in tokens; 0 when unknown. */
  readonly inputSize: number
  /** Whether the router chooses the context length if neither request nor configuration does. */
  readonly autoContext?: boolean
}

export interface ChatCodec {
  /**
   * Throws `bad_request` for a body that does not match the dialect's schema. Called before `readRequest`, with a body whose
   * long strings may be truncated; not called for a passthrough, which the server validates. Absent: the route validates.
   */
  checkRequest?(body: unknown): void
  /** Reads a checked client request. Throws `bad_request` with the path of an invalid field. */
  readRequest(body: Record<string, unknown>, stream: boolean): ChatRequest
  writeRequest(request: ChatRequest, options: WriteRequestOptions): Record<string, unknown>
  /**
   * Checks whether a whole upstream response can be passed through unchanged; the model's output is not judged. Throws
   * `upstream_error` if it reports an error or is not a response.
   */
  checkAnswer(body: unknown, context: AnswerContext): CheckedAnswer
  /** Reads a whole upstream response; throws the same errors as {@link ChatCodec.checkAnswer}. */
  readResponse(body: unknown): ChatResponse
  writeResponse(response: ChatResponse, context: AnswerContext): Record<string, unknown>
  createReader(): ChatStreamReader
  createWriter(context: AnswerContext): ChatStreamWriter
  createPassthrough(options: PassthroughOptions): ChatPassthrough
  passthroughEdits(request: PassthroughRequest): PassthroughEdits
  /** For servers that do not notice a client's disconnect during a whole response; absent: not supported by the dialect. */
  readonly wholeAsStream?: WholeAsStream
  /** Default of `stream` in this dialect. */
  readonly streamsByDefault: boolean
  /**
   * Returns the members to add to or replace in an upstream body, from the operator's defaults for members that it lacks.
   * `defaults` may use the names of any dialect.
   */
  missingDefaults(
    body: Record<string, unknown>,
    defaults: Record<string, unknown>,
    flavour?: Flavour,
  ): Record<string, unknown>
  /** Members added to translated requests if neither the client nor the operator sets them. */
  readonly translatedMembers?: Readonly<Record<string, unknown>>
  /**
   * Members of a client's body that form the prompt, in the order in which chat templates write them; the last one is the list
   * of messages. Absent: strategies get no prefix keys.
   */
  readonly promptMembers?: readonly string[]
  /** Members that only configure `tools`, besides those of OpenAI's and Anthropic's chats. */
  readonly toolMembers?: readonly string[]
  /** Features that a body uses; only for dialects whose bodies differ in shape from OpenAI's and Anthropic's. */
  features?(body: Readonly<Record<string, unknown>>): Iterable<ContentFeature>
  /**
   * For servers that silently truncate prompts: returns the members to set in an upstream body so that its prompt fits. Throws
   * `context_overflow` if it cannot fit.
   */
  fitContext?(body: Record<string, unknown>, limits: ContextLimits): Record<string, unknown>
}

/** How servers of a dialect count the tokens of a chat's prompt. */
export interface CountCodec {
  /** Members of a chat body that only affect the response; removed from the count request. */
  readonly answerMembers: readonly string[]
  /** Name of the response member with the count. */
  readonly member: string
  /** Returns the body of the count request; absent: the chat body without `answerMembers`. */
  writeRequest?(chat: Record<string, unknown>, model: string): Record<string, unknown>
}

export interface ErrorOptions {
  /** The request used one of the router's own paths, whose errors also have the legacy members `status` and `body`. */
  ownPath: boolean
  /** Whether `causeCode` may be shown. */
  debug: boolean
  requestId: string
}

/** A wire format, read and written in both directions. */
export interface Dialect {
  readonly name: string
  /** Content type of streamed responses. */
  readonly streamMediaType: string
  /** Bytes that clients ignore, to keep a stream alive between two events; absent: the dialect has none. */
  readonly ping?: string
  readonly chat: ChatCodec
  /**
   * Set if this is another API of the named dialect: targets of that dialect that support the operation get the client's bytes
   * unchanged, others get a chat.
   */
  readonly native?: { dialect: string; operation: Operation }
  /** Name of the dialect in which servers of this one complete plain prompts. */
  readonly completions?: string
  /** Absent: its servers cannot count tokens. */
  readonly count?: CountCodec
  /** Absent: the dialect has no embeddings. */
  readonly embedding?: EmbeddingCodec
  /** Where content is located in requests and responses. Absent: processors that fail closed reject its requests. */
  readonly contents?: DialectContents
  writeError(error: RouterError, options: ErrorOptions): Record<string, unknown>
  /** HTTP status of an error in this dialect, if it differs from the error's own. */
  errorStatus(error: RouterError): number
  /** Returns the in-band error: one or more whole events, to be sent after a complete event. */
  writeStreamError(error: RouterError, options: ErrorOptions): string
}
