import { EventLoopBudget } from '../../lib/event-loop-budget.ts'
import type { ContentText } from '../contents/content-text.ts'
import { JoinedText } from './joined-text.ts'
import type { MaskingRules } from './masking-rules.ts'
import { type Match, withoutOverlaps } from './match.ts'
import type { Pseudonyms } from './pseudonyms.ts'
import { wordStartAt } from './word-start.ts'

/** A service that finds values in texts. Offsets are in UTF-16 units. Rejects if the service fails or its response is invalid. */
export interface MaskingService {
  readonly name: string
  find(texts: readonly string[], signal: AbortSignal): Promise<readonly (readonly Match[])[]>
}

export interface MaskingPlan {
  readonly rules: MaskingRules
  readonly services: readonly MaskingService[]
  /** Whether system prompts are masked. */
  readonly system: boolean
  /** Whether values are restored; then text that looks like a pseudonym is masked itself. */
  readonly restores: boolean
}

/**
 * Returns the texts in order, with pseudonyms in place of all values. Built-in kinds are replaced first, so that services do not
 * receive them. Rejects if a service fails.
 */
export async function masked(
  texts: readonly ContentText[],
  { rules, services, system, restores }: MaskingPlan,
  pseudonyms: Pseudonyms,
  signal: AbortSignal,
): Promise<{ texts: string[]; values: number }> {
  const budget = new EventLoopBudget(signal)
  const runs = runsOf(texts, system)
  const joined = runs.map(({ items }) => new JoinedText(items.map(({ text }) => text)))
  let values = 0
  const replace = async (text: JoinedText, matches: readonly Match[]): Promise<void> => {
    values += matches.length
    const written: string[] = []
    for (const { kind, start, end, normal } of matches) {
      written.push(pseudonyms.of(kind, text.text.slice(start, end), normal))
      await budget.take()
    }
    text.replace(matches, written)
  }
  const find = (text: string): Promise<Match[]> => rules.find(text, budget, { literals: restores })
  for (const text of joined) {
    const found = await rules.find(text.text, budget, { literals: restores, pieces: text.pieces })
    await replace(text, await withinSentences(text, found, find))
  }
  for (const service of services) {
    const found = await service.find(
      joined.map(({ text }) => text),
      signal,
    )
    for (const [index, text] of joined.entries()) {
      const free = (found[index] ?? []).filter((match) => match.end > match.start && !text.isTaken(match))
      const placed = withoutOverlaps(free).map((match) => {
        const start = wordStartAt(text.text, match.start)
        return text.isTaken({ start, end: match.end }) ? match : { ...match, start }
      })
      await replace(text, withoutOverlaps(placed))
    }
  }
  const changed = texts.map(({ text }) => text)
  for (const [index, { positions }] of runs.entries()) {
    const pieces = joined[index]?.pieces ?? []
    for (const [piece, position] of positions.entries()) changed[position] = pieces[piece] ?? ''
  }
  return { texts: changed, values }
}

/** Excludes the first word of the next piece from an address at the end of a piece, if it begins a sentence. */
async function withinSentences(
  text: JoinedText,
  matches: readonly Match[],
  find: (text: string) => Promise<readonly Match[]>,
): Promise<Match[]> {
  const cut: Match[] = []
  for (const match of matches) {
    const end = text.endOfPieceAt(match.start)
    const isCut =
      match.kind === 'EMAIL' && match.end > end && /^\p{Lu}\p{Ll}+$/u.test(text.text.slice(end, match.end))
    const alone = isCut ? await find(text.text.slice(match.start, end)) : []
    const same = alone.find(
      ({ kind, start, end: behind }) => kind === match.kind && start === 0 && behind === end - match.start,
    )
    cut.push(same ? { ...same, start: match.start, end } : match)
  }
  return cut
}

interface Run {
  items: ContentText[]
  positions: number[]
}

function runsOf(texts: readonly ContentText[], system: boolean): Run[] {
  const runs = new Map<number, Run>()
  for (const [position, item] of texts.entries()) {
    if (item.isSystem && !system) continue
    const run = runs.get(item.run) ?? { items: [], positions: [] }
    run.items.push(item)
    run.positions.push(position)
    runs.set(item.run, run)
  }
  return [...runs.values()]
}
