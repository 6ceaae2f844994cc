/** The request whose content a processor gets. */
export interface ProcessorContext {
  /** Alias of the model. */
  readonly model: string
  /** Id of the client's key; undefined where none is required. */
  readonly client: string | undefined
  /** Aborted when the request has ended or the processor has taken too long. */
  readonly signal: AbortSignal
}

/** Verdict of a processor. */
export type ProcessorVerdict =
  | { readonly type: 'pass' }
  /** Replacements, one for each text. */
  | { readonly type: 'replace'; readonly contents: readonly string[] }
  /** The request is refused, or the answer ends here as its dialect says that a filter ended it. */
  | { readonly type: 'block' }
  /** Request or response continue, and the finding is logged and counted. */
  | { readonly type: 'flag' }

/** What is known of contents of an answer that are about to go out. */
export interface ResponsePassage extends ProcessorContext {
  /** For each of the contents, what stands before it in the same text and has passed: at most 400 characters. */
  readonly before: readonly string[]
  /** The last content of the request, as the processor may see it; empty where it has none. */
  readonly asked: string
}

/** A step on the contents of requests, of answers, or of both. Throwing means that it has failed. */
export interface ContentProcessor {
  /** Texts that go to the model, in their order: messages, tool arguments and results, inputs. Never names, roles or schemas. */
  request?(
    contents: readonly string[],
    context: ProcessorContext,
  ): Promise<ProcessorVerdict> | ProcessorVerdict
  /**
   * Texts that a model wrote. A stream is given in windows, none of which goes out before its verdict: up to the end of a sentence
   * or line, at most 1,000 characters or what comes in 2 s; arguments of tools and structured output are given whole.
   */
  response?(
    contents: readonly string[],
    passage: ResponsePassage,
  ): Promise<ProcessorVerdict> | ProcessorVerdict
}

/** A kind of processor that an extension adds; `processors` in models-config.json names it as `type`. */
export interface ProcessorType {
  readonly name: string
  /** Checks `options` and makes a processor. Throws an Error with a message for who configures it. */
  create(options: Readonly<Record<string, unknown>>): ContentProcessor
}
