import type { ProcessorVerdict } from '../../sdk/processor.ts'

/** What a guardrail is to judge: contents of a request together, or passages of an answer. */
export interface Judged {
  readonly contents: readonly string[]
  /** Of an answer: what stands before each of the contents; undefined: they are those of a request. */
  readonly before: readonly string[] | undefined
  /** Of an answer: the last content of the request. */
  readonly asked: string
  readonly signal: AbortSignal
}

/** Rejects where it has failed. */
export type Judge = (judged: Judged) => Promise<ProcessorVerdict>

/** Each of the contents with what stands before it. */
export function inContext({ contents, before }: Judged): string[] {
  return contents.map((content, index) => (before?.[index] ?? '') + content)
}

export function verdictOf(isSafe: boolean): ProcessorVerdict {
  return { type: isSafe ? 'pass' : 'block' }
}
