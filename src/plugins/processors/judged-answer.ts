import { applyEdits } from '../../lib/json/splice.ts'
import { movedBetween } from '../../processors/answers/citations.ts'
import { contentsOf } from '../../processors/answers/guarded-text.ts'
import type { AnswerContents } from '../../sdk/content.ts'
import type { AnswerGuard } from './answer-guard.ts'
import type { JudgedStreamOptions } from './judged-stream.ts'

export interface JudgedAnswerOptions
  extends Pick<JudgedStreamOptions, 'replaced' | 'blocked' | 'removedOffsets'> {
  readonly guard: Pick<AnswerGuard, 'judge'>
}

/** A whole response after judging: with replaced texts, or ended by a filter. */
export async function judgedAnswer(
  body: Buffer,
  { shape, filtered, citations }: AnswerContents,
  { guard, replaced, blocked, removedOffsets }: JudgedAnswerOptions,
): Promise<Buffer> {
  const contents = contentsOf(body, shape)
  const nonEmpty = contents.texts.filter((text) => text.trim() !== '')
  if (nonEmpty.length === 0) return body
  const verdict = await guard.judge(nonEmpty.map((text) => ({ text, before: '' })))
  if (verdict.type === 'block') {
    const answer = filtered(JSON.parse(body.toString()), whyBlocked(verdict.by))
    blocked({ last: answer, cutBytes: undefined })
    return Buffer.from(JSON.stringify(answer))
  }
  const judged = verdict.texts[Symbol.iterator]()
  const texts = contents.texts.map((text) => (text.trim() === '' ? text : (judged.next().value ?? text)))
  if (texts.every((text, index) => text === contents.texts[index])) return body
  for (const [index, raw] of contents.texts.entries()) {
    const shown = texts[index] ?? raw
    if (shown !== raw) replaced(raw, shown)
  }
  const changed = Buffer.from(contents.with(texts))
  const { edits, removed } = movedBetween(body, changed, citations)
  if (removed > 0) removedOffsets(removed)
  return applyEdits(changed, edits)
}

/** For clients whose dialect supports it. */
export function whyBlocked(by: string): string {
  return `The response was blocked by '${by}'`
}
