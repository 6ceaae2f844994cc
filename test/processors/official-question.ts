/** What an official client returns for a response. */
export interface OfficialAnswer {
  readonly text: string
  readonly calls: readonly { id: string | undefined; name: string | undefined; input: unknown }[]
  /** The finish reason, as the dialect names it. */
  readonly finish: string | null | undefined
  /** Prompt and completion tokens. */
  readonly usage: readonly (number | undefined)[]
}

export interface OfficialQuestion {
  /** The router's URL. */
  readonly url: string
  readonly model: string
  readonly stream: boolean
  readonly words: Conversation
  readonly signal?: AbortSignal
  /** Called for each piece of a stream. */
  readonly onText?: (text: string) => void
}

/** A conversation in no particular dialect: it ends with a question after the result of a call. */
export interface Conversation {
  readonly system: string
  readonly first: string
  readonly call: Record<string, unknown>
  readonly result: Record<string, unknown>
  readonly last: string
  /** What the tool is for. */
  readonly tool: string
  /** The user id. */
  readonly user: string
}

export interface OfficialClient {
  readonly name: string
  /** Whether it has turns and tools; the others complete a text. */
  readonly hasTurns: boolean
  readonly finish: string
  ask(question: OfficialQuestion): Promise<OfficialAnswer>
}

export const apiKey = 'none'
export const parameters = { type: 'object' as const, properties: { to: { type: 'string' } } }
export const callId = 'call_earlier'
export const toolName = 'send'

export function signalOf({ signal }: OfficialQuestion): { signal?: AbortSignal } {
  return signal ? { signal } : {}
}

/** The conversation as one text, for clients without turns. */
export function prompt({ system, first, call, result, last }: Conversation): string {
  return [system, first, JSON.stringify(call), JSON.stringify(result), last].join('\n')
}

/** Results as many programs write them: ASCII only, and no `@`. */
export function escaped(value: unknown): string {
  return JSON.stringify(value).replaceAll(
    /[@\u0080-\uffff]/g,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`,
  )
}
