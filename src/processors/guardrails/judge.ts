import type { ProcessorVerdict } from '../../sdk/processor.ts'

/** Input of a guardrail: all contents of a request, or passages of a response. */
export interface Judged {
  readonly contents: readonly string[]
  /** For a response, the text before each passage; undefined for a request. */
  readonly before: readonly string[] | undefined
  /** For a response, the last content of its request. */
  readonly prompt: string
  readonly signal: AbortSignal
}

/** Rejects if the guardrail fails. */
export type Judge = (judged: Judged) => Promise<ProcessorVerdict>

/** Each content with the text before it. */
export function inContext({ contents, before }: Judged): string[] {
  return contents.map((content, index) => (before?.[index] ?? '') + content)
}

export function verdictOf(isSafe: boolean): ProcessorVerdict {
  return { type: isSafe ? 'pass' : 'block' }
}
