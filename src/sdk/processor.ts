/** The request whose content is processed. */
export interface ProcessorContext {
  /** Alias of the model. */
  readonly model: string
  /** Id of the client's key; undefined if no key is required. */
  readonly client: string | undefined
  /** Aborted when the request ends or the processor times out. */
  readonly signal: AbortSignal
}

export type ProcessorVerdict =
  | { readonly type: 'pass' }
  /** Replacements, one per text, in the same order. */
  | { readonly type: 'replace'; readonly contents: readonly string[] }
  /** The request is rejected, or the response ends here as filtered, as its dialect expresses it. */
  | { readonly type: 'block' }
  /** The request or response continues; the finding is logged and counted. */
  | { readonly type: 'flag' }

/** Context of response contents that are about to be sent. */
export interface ResponsePassage extends ProcessorContext {
  /** For each content, the end of the same text that has already passed: at most 400 characters. */
  readonly before: readonly string[]
  /** The last content of the request, as far as the processor may see it; empty if there is none. */
  readonly asked: string
}

/** Processes the contents of requests, responses, or both. An exception counts as failure of the processor. */
export interface ContentProcessor {
  /**
   * Gets the texts for the model in their order: messages, tool arguments and results, inputs; never names, roles or schemas.
   */
  request?(
    contents: readonly string[],
    context: ProcessorContext,
  ): Promise<ProcessorVerdict> | ProcessorVerdict
  /**
   * Gets texts that a model wrote. Streamed text comes in windows, each held back until its verdict: up to the end of a
   * sentence or line, at most 1,000 characters or 2 s. Tool arguments and structured output come whole.
   */
  response?(
    contents: readonly string[],
    passage: ResponsePassage,
  ): Promise<ProcessorVerdict> | ProcessorVerdict
}

/** A kind of processor that an extension adds; entries of `processors` in models-config.json refer to it by `type`. */
export interface ProcessorType {
  readonly name: string
  /** Validates `options` and creates a processor. Throws an Error with a message for the operator. */
  create(options: Readonly<Record<string, unknown>>): ContentProcessor
}
