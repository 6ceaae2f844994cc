/** The request whose content a processor gets. */
export interface ProcessorContext {
  /** Alias of the model. */
  readonly model: string
  /** Id of the client's key; undefined if no key is required. */
  readonly client: string | undefined
  /** Aborted when the request ends or the processor times out. */
  readonly signal: AbortSignal
}

/** Verdict of a processor. */
export type ProcessorVerdict =
  | { readonly type: 'pass' }
  /** Replacements, one for each text. */
  | { readonly type: 'replace'; readonly contents: readonly string[] }
  /** The request is rejected, or the response ends here as filtered, in its dialect's form. */
  | { readonly type: 'block' }
  /** Request or response continue, and the finding is logged and counted. */
  | { readonly type: 'flag' }

/** Contents of a response that are about to be sent. */
export interface ResponsePassage extends ProcessorContext {
  /** For each of the contents, what stands before it in the same text and has passed: at most 400 characters. */
  readonly before: readonly string[]
  /** The last content of the request, as far as the processor may see it; empty if there is none. */
  readonly asked: string
}

/** Processes the contents of requests, responses, or both. Throwing means failure. */
export interface ContentProcessor {
  /** Texts that go to the model, in their order: messages, tool arguments and results, inputs. Never names, roles or schemas. */
  request?(
    contents: readonly string[],
    context: ProcessorContext,
  ): Promise<ProcessorVerdict> | ProcessorVerdict
  /**
   * Texts that a model wrote. A stream is given in windows, none of which goes out before its verdict: up to the end of a
   * sentence or line, at most 1,000 characters or what comes in 2 s; arguments of tools and structured output are given whole.
   */
  response?(
    contents: readonly string[],
    passage: ResponsePassage,
  ): Promise<ProcessorVerdict> | ProcessorVerdict
}

/** A kind of processor that an extension adds; `processors` in models-config.json names it as `type`. */
export interface ProcessorType {
  readonly name: string
  /** Validates `options` and creates a processor. Throws an Error with a message for the operator. */
  create(options: Readonly<Record<string, unknown>>): ContentProcessor
}
