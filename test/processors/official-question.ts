/** What an official client makes of an answer. */
export interface OfficialAnswer {
  readonly text: string
  readonly calls: readonly { id: string | undefined; name: string | undefined; input: unknown }[]
  /** Why it has ended, in the words of the dialect. */
  readonly finish: string | null | undefined
  /** Tokens of prompt and answer. */
  readonly usage: readonly (number | undefined)[]
}

export interface OfficialQuestion {
  /** Of the router. */
  readonly url: string
  readonly model: string
  readonly stream: boolean
  readonly words: Conversation
  readonly signal?: AbortSignal
  /** Called for each piece of a stream. */
  readonly heard?: (text: string) => void
}

/** A conversation in words that no dialect owns: it ends with a question behind the result of a call. */
export interface Conversation {
  readonly system: string
  readonly first: string
  readonly call: Record<string, unknown>
  readonly result: Record<string, unknown>
  readonly last: string
  /** What the tool is for. */
  readonly tool: string
  /** Who asks. */
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

/** All that is said in one text, for clients without turns. */
export function prompt({ system, first, call, result, last }: Conversation): string {
  return [system, first, JSON.stringify(call), JSON.stringify(result), last].join('\n')
}

/** Results as many programs write them: no character beyond ASCII, and no `@`. */
export function escaped(value: unknown): string {
  return JSON.stringify(value).replaceAll(
    /[@\u0080-\uffff]/g,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`,
  )
}
