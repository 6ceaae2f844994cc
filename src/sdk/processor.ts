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
  /** The request is refused. */
  | { readonly type: 'block' }
  /** The request continues, and the finding is logged and counted. */
  | { readonly type: 'flag' }

/** A step on the contents of requests. Throwing means that it has failed. */
export interface ContentProcessor {
  /** Texts that go to the model, in their order: messages, tool arguments and results, inputs. Never names, roles or schemas. */
  request(
    contents: readonly string[],
    context: ProcessorContext,
  ): Promise<ProcessorVerdict> | ProcessorVerdict
}

/** A kind of processor that an extension adds; `processors` in models-config.json names it as `type`. */
export interface ProcessorType {
  readonly name: string
  /** Checks `options` and makes a processor. Throws an Error with a message for who configures it. */
  create(options: Readonly<Record<string, unknown>>): ContentProcessor
}
