import type { Edit } from '../../lib/json/splice.ts'
import { type JsonNode, memberOf, readTree, stringAt } from '../../lib/json/tree.ts'
import type { AnswerContents, CitedRange } from '../../sdk/content.ts'
import { ChangedText, type MovedOffsets, type OffsetUnit } from './changed-text.ts'
import { nodeAt, parsedEvent } from './nodes.ts'

/** The text that a citation refers to. `unknown`: it may have changed in an unknown way. Undefined: it has not changed. */
export type CitedText = MovedOffsets | 'unknown' | undefined

const units: Readonly<Record<CitedRange['unit'], readonly OffsetUnit[]>> = {
  utf8: ['utf8'],
  characters: ['code_points', 'utf16'],
}
const allUnits: readonly OffsetUnit[] = ['utf8', 'code_points', 'utf16']

export interface MovedCitations {
  readonly edits: Edit[]
  /** Citations whose offsets were removed. */
  readonly removed: number
}

/** Adjusts the offsets of citations in a request. Those that cannot be computed stay: servers reject a citation without them. */
export function movedInRequest(
  bytes: Buffer,
  ranges: readonly CitedRange[],
  textOf: (range: CitedRange) => CitedText,
): Edit[] {
  const root = ranges.length > 0 ? readTree(bytes) : undefined
  if (!root) return []
  return ranges.flatMap((range) => {
    const { edits, removed } = movedCitations(bytes, root, [range], textOf)
    return removed > 0 ? [] : edits
  })
}

/**
 * Adjusts the offsets of citations to texts that have changed. Offsets that cannot be computed are removed. `root`: that of the
 * JSON text with the offsets.
 */
export function movedCitations(
  bytes: Buffer,
  root: JsonNode,
  ranges: readonly CitedRange[],
  textOf: (range: CitedRange) => CitedText,
): MovedCitations {
  const edits: Edit[] = []
  let removed = 0
  for (const range of ranges) {
    const node = nodeAt(root, range.path)
    if (node?.type !== 'object') continue
    const offsets = offsetsIn(bytes, node, range)
    if (offsets.length === 0) continue
    const text = textOf(range)
    if (text === undefined) continue
    const quote = range.quote === undefined ? undefined : memberOf(node, range.quote)
    const quoted = quote?.type === 'string' ? stringAt(bytes, quote) : undefined
    const moved = text === 'unknown' ? undefined : movedOffsets(offsets, text, { range, quoted })
    if (moved)
      edits.push(...moved.map(({ node: { start, end }, offset }) => ({ start, end, text: String(offset) })))
    else {
      edits.push(...withoutMembers(node, new Set(range.members)))
      removed++
    }
  }
  return { edits, removed }
}

/** Adjusts the offsets of citations in a response of which strings were replaced by other means. */
export function movedBetween(
  before: Buffer,
  after: Buffer,
  citations: AnswerContents['citations'],
): MovedCitations {
  const root = citations && readTree(before)
  const rootAfter = root && readTree(after)
  const answer = rootAfter && parsedEvent(before.toString())
  if (!answer) return { edits: [], removed: 0 }
  return movedCitations(after, rootAfter, citations(answer), ({ text }) => {
    if (!text) return before.equals(after) ? undefined : 'unknown'
    return 'path' in text
      ? textBetween(text.path, { bytes: before, root }, { bytes: after, root: rootAfter })
      : undefined
  })
}

interface JsonText {
  readonly bytes: Buffer
  readonly root: JsonNode
}

/** The string at a path of a JSON text, changed to the one at the same path of another. */
export function textBetween(
  path: readonly (string | number)[],
  before: JsonText,
  after: JsonText,
): ChangedText | undefined {
  const [original, changed] = [nodeAt(before.root, path), nodeAt(after.root, path)]
  if (original?.type !== 'string' || changed?.type !== 'string') return undefined
  const text = ChangedText.between(stringAt(before.bytes, original), stringAt(after.bytes, changed))
  return text.isChanged ? text : undefined
}

interface Offset {
  readonly name: string
  readonly node: JsonNode
  readonly offset: number
}

function offsetsIn(bytes: Buffer, node: JsonNode, { members }: CitedRange): Offset[] {
  return members.flatMap((name) => {
    const value = memberOf(node, name)
    if (value?.type !== 'number') return []
    return [{ name, node: value, offset: Number(bytes.toString('latin1', value.start, value.end)) }]
  })
}

/** Returns adjusted offsets if all possible units give the same result. A quote of the range rules out units. */
function movedOffsets(
  offsets: readonly Offset[],
  text: MovedOffsets,
  { range, quoted }: { range: CitedRange; quoted: string | undefined },
): Offset[] | undefined {
  const [first, second] = range.members
  const offsetOf = (name: string | undefined): number =>
    offsets.find((offset) => offset.name === name)?.offset ?? 0
  const [start, end] = [offsetOf(first), offsetOf(second ?? first)]
  // A unit in which the text is shorter is not the one that the offsets count.
  const possible = (quoted === undefined ? units[range.unit] : allUnits).filter((unit) => {
    const part = text.slice(start, end, unit)
    return part !== undefined && (quoted === undefined || part === quoted)
  })
  const results = possible.map((unit) =>
    offsets.map(({ offset, ...at }) => ({ ...at, offset: text.moved(offset, unit) })),
  )
  const [result] = results
  if (!result || results.some((other) => other.some(({ offset }, index) => offset !== result[index]?.offset)))
    return undefined
  const moved = result.flatMap(({ offset, ...at }): Offset[] =>
    offset === undefined ? [] : [{ ...at, offset }],
  )
  return moved.length === offsets.length ? moved : undefined
}

/** Edits that remove members of an object, with their commas. */
function withoutMembers(
  { members }: Extract<JsonNode, { type: 'object' }>,
  names: ReadonlySet<string>,
): Edit[] {
  const edits: Edit[] = []
  let index = 0
  while (index < members.length) {
    const from = index
    while (names.has(members[index]?.key ?? '')) index++
    const [first, last] = [members[from], members[index - 1]]
    if (index > from && first && last) {
      const [before, next] = [members[from - 1], members[index]]
      if (before) edits.push({ start: before.value.end, end: last.value.end, text: '' })
      else edits.push({ start: first.keyStart, end: next?.keyStart ?? last.value.end, text: '' })
    }
    index = Math.max(index, from) + 1
  }
  return edits
}
