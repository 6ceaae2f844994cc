import type { Timings } from './chat.ts'
import type { WriteRequestOptions } from './dialect.ts'

/** A text, or its tokens as the model's own tokenizer numbers them. */
export type EmbeddingInput = string | readonly number[]

/** A request for embeddings, independent of the dialects. */
export interface EmbeddingRequest {
  inputs: readonly EmbeddingInput[]
  /** Length of the vectors; absent: the model's own. */
  dimensions?: number
  /** Whether a text that is too long may be truncated; absent: the server's default. */
  truncate?: boolean
  user?: string
  /** Ollama's residency and context options, for Ollama targets. */
  ollama?: { keepAlive?: string | number; options?: Record<string, unknown> }
  /** Members that the codec does not know, by their wire name; a target of the same dialect gets them back. */
  extras: Record<string, unknown>
}

export interface EmbeddingResponse {
  /** One for each input, in their order. */
  vectors: readonly (readonly number[])[]
  /** Tokens of all inputs; undefined where the upstream did not count. */
  promptTokens: number | undefined
  timings?: Timings
}

/** Properties of the response that a writer writes. */
export interface EmbeddingContext {
  /** The name that the client asked for; the only model name in a response. */
  model: string
  /** The client's body, which says in which form it wants the vectors. */
  request: Readonly<Record<string, unknown>>
  /** Milliseconds since the request arrived. */
  elapsedMs(): number
}

/** Embeddings in one dialect, read and written in both directions. */
export interface EmbeddingCodec {
  /** Reads a client request. Throws `bad_request` with the path of an invalid field. */
  readRequest(body: Record<string, unknown>): EmbeddingRequest
  /** Throws `bad_request` for inputs that the upstream cannot take, such as token numbers. */
  writeRequest(request: EmbeddingRequest, options: WriteRequestOptions): Record<string, unknown>
  /** Reads a whole upstream answer; throws `upstream_error` when it is none for this number of inputs. */
  readResponse(body: unknown, inputs: number): EmbeddingResponse
  writeResponse(response: EmbeddingResponse, context: EmbeddingContext): Record<string, unknown>
  /** Whether a server of this dialect takes the client's body as it is. */
  goesThrough(request: Readonly<Record<string, unknown>>): boolean
  /** The operator's defaults for what a body leaves out, as the members to set; absent: there are none. */
  missingDefaults?(body: Record<string, unknown>, defaults: Record<string, unknown>): Record<string, unknown>
  /** Members of a client's body that name the model beside the path, as the target is to get them. */
  modelMembers?(body: Readonly<Record<string, unknown>>, model: string): Record<string, unknown>
  /** Whether a body holds several inputs in a form that servers take at another path. */
  isBatch?(body: Readonly<Record<string, unknown>>): boolean
  /** Members of a request from a client of another dialect that neither the client nor the operator sets. */
  readonly translatedMembers?: Readonly<Record<string, unknown>>
  /** Whether an upstream's answer has the vectors in the form that the client's request asks for. */
  isInWantedForm(answer: unknown, request: Readonly<Record<string, unknown>>): boolean
}
