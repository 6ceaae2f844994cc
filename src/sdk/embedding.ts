import type { Timings } from './chat.ts'
import type { WriteRequestOptions } from './write-options.ts'

/** A text, or token ids of the model's tokenizer. */
export type EmbeddingInput = string | readonly number[]

/** A request for embeddings, independent of the dialects. */
export interface EmbeddingRequest {
  inputs: readonly EmbeddingInput[]
  /** Length of the vectors; absent: the model's default. */
  dimensions?: number
  /** Whether a text that is too long may be truncated; absent: the server's default. */
  truncate?: boolean
  user?: string
  /** Ollama's residency and context options, for Ollama targets. */
  ollama?: { keepAlive?: string | number; options?: Record<string, unknown> }
  /** Unknown members by wire name; passed to targets of the same dialect. */
  extras: Record<string, unknown>
}

export interface EmbeddingResponse {
  /** One per input, in the same order. */
  vectors: readonly (readonly number[])[]
  /** Tokens of all inputs; undefined if the upstream did not report them. */
  promptTokens: number | undefined
  timings?: Timings
}

/** Properties of the response that a writer writes. */
export interface EmbeddingContext {
  /** The name that the client asked for; the only model name in a response. */
  model: string
  /** The client's body, which determines the form of the vectors. */
  request: Readonly<Record<string, unknown>>
  /** Milliseconds since the request arrived. */
  elapsedMs(): number
}

/** Embeddings in one dialect, in both directions. */
export interface EmbeddingCodec {
  /** Reads a client request. Throws `bad_request` with the path of an invalid field. */
  readRequest(body: Record<string, unknown>): EmbeddingRequest
  /** Throws `bad_request` for inputs that the upstream does not support, such as token ids. */
  writeRequest(request: EmbeddingRequest, options: WriteRequestOptions): Record<string, unknown>
  /** Reads an upstream response; throws `upstream_error` unless it has `inputs` vectors. */
  readResponse(body: unknown, inputs: number): EmbeddingResponse
  writeResponse(response: EmbeddingResponse, context: EmbeddingContext): Record<string, unknown>
  /** Whether a server of this dialect accepts the client's body unchanged. */
  canPassThrough(request: Readonly<Record<string, unknown>>): boolean
  /** The operator's defaults for members missing in a body; absent if unsupported. */
  missingDefaults?(body: Record<string, unknown>, defaults: Record<string, unknown>): Record<string, unknown>
  /** For APIs with the model in the path: body members that repeat the model name, rewritten for the target. */
  modelMembers?(body: Readonly<Record<string, unknown>>, model: string): Record<string, unknown>
  /** Whether a body is a batch, for which servers have a separate path. */
  isBatch?(body: Readonly<Record<string, unknown>>): boolean
  /** Members added to translated requests if neither the client nor the operator sets them. */
  readonly translatedMembers?: Readonly<Record<string, unknown>>
  /** Whether an upstream response has the vectors in the encoding that the client requested. */
  hasRequestedEncoding(answer: unknown, request: Readonly<Record<string, unknown>>): boolean
}
