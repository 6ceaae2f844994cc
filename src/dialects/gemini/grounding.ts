import { filledTextOf, type JsonObject, numberOf, present } from '../../lib/json/read.ts'
import type { Citation } from '../../sdk/chat.ts'
import { listIn, memberOf, objectIn } from './members.ts'

/** Most entries that are read: no real response has more, and each may search the whole text. */
const maxSupports = 1_000

/**
 * Reads the sources of a candidate with this text. Offsets count UTF-8 bytes, and an offset of 0 is omitted. Source: Gemini API
 * reference, "GroundingMetadata".
 */
export function readGrounding(metadata: JsonObject, text: string): Citation[] {
  const sources = listIn(metadata, 'groundingChunks').map(readSource)
  const offsets = utf8Offsets(text)
  const used = new Set<number>()
  const supports = listIn(metadata, 'groundingSupports').slice(0, maxSupports)
  const ranges = supports.flatMap((support): Citation[] => {
    const range = readRange(objectIn(support, 'segment') ?? {}, text, offsets.toUnits)
    const indices = memberOf(support, 'groundingChunkIndices')
    return (Array.isArray(indices) ? indices : []).flatMap((index: unknown) => {
      const source = typeof index === 'number' ? sources[index] : undefined
      if (typeof index !== 'number' || !source) return []
      used.add(index)
      return [{ ...source, ...range }]
    })
  })
  return [...ranges, ...sources.filter((_source, index) => !used.has(index))]
}

function readSource(chunk: JsonObject): Citation {
  const source =
    objectIn(chunk, 'web') ?? objectIn(chunk, 'retrievedContext') ?? objectIn(chunk, 'maps') ?? {}
  return present({ url: filledTextOf(source.uri), title: filledTextOf(source.title) })
}

/** In a text of several parts, offsets count within the part, so a segment that is elsewhere is searched for. */
function readRange(
  segment: JsonObject,
  text: string,
  toUnits: (bytes: number) => number,
): Pick<Citation, 'start' | 'end'> {
  const endIndex = numberOf(memberOf(segment, 'endIndex'))
  if (endIndex === undefined) return {}
  const start = toUnits(numberOf(memberOf(segment, 'startIndex')) ?? 0)
  const end = toUnits(endIndex)
  const quoted = filledTextOf(segment.text)
  if (quoted === undefined || text.startsWith(quoted, start)) return { start, end }
  const found = text.indexOf(quoted)
  return found === -1 ? {} : { start: found, end: found + quoted.length }
}

/** A part with text. `start`: position in the text of the candidate. */
interface TextOfPart {
  text: string
  start: number
  partIndex: number
}

/** Writes citations as the metadata of their candidate. Of several parts, each has a support for its part of the range. */
export function writeGrounding(
  citations: readonly (Citation & { url: string })[],
  texts: readonly TextOfPart[],
): JsonObject | undefined {
  if (citations.length === 0) return undefined
  const parts = texts.map((part) => ({ ...part, ...utf8Offsets(part.text) }))
  const chunks = new Map<string, { index: number; chunk: JsonObject }>()
  const groundingSupports = citations.flatMap(({ url, title, start, end }) => {
    const source = chunks.get(url) ?? { index: chunks.size, chunk: { web: present({ uri: url, title }) } }
    chunks.set(url, source)
    if (end === undefined) return []
    return parts.flatMap(({ text, start: before, partIndex, toBytes }) => {
      const [from, to] = [Math.max((start ?? 0) - before, 0), end - before]
      if (parts.length > 1 && (to <= 0 || from >= text.length)) return []
      const segment = { startIndex: toBytes(from), endIndex: toBytes(to), text: text.slice(from, to) }
      const part = parts.length > 1 ? { partIndex } : {}
      return [{ segment: { ...part, ...segment }, groundingChunkIndices: [source.index] }]
    })
  })
  return { groundingChunks: [...chunks.values()].map(({ chunk }) => chunk), groundingSupports }
}

/** Converts offsets in a text between UTF-8 bytes and UTF-16 code units. Offsets beyond the text count as its end. */
interface Utf8Offsets {
  toBytes(units: number): number
  toUnits(bytes: number): number
}

function utf8Offsets(text: string): Utf8Offsets {
  const { length } = text
  const size = Buffer.byteLength(text)
  if (size === length) {
    const clamped = (offset: number): number => Math.min(Math.max(offset, 0), length)
    return { toBytes: clamped, toUnits: clamped }
  }
  /** Position in bytes of each code unit; the second half of a pair is at the end of the pair. */
  const bytesAt = new Uint32Array(length + 1)
  let bytes = 0
  for (let unit = 0; unit < length; unit++) {
    const code = text.codePointAt(unit) ?? 0
    bytes += code < 0x80 ? 1 : code < 0x800 ? 2 : code < 0x10000 ? 3 : 4
    if (code >= 0x10000) bytesAt[++unit] = bytes
    bytesAt[unit + 1] = bytes
  }
  return {
    toBytes: (units) => bytesAt[Math.min(Math.max(units, 0), length)] ?? bytes,
    toUnits(wanted) {
      let [low, high] = [0, length]
      while (low < high) {
        const middle = (low + high) >>> 1
        if ((bytesAt[middle] ?? 0) < wanted) low = middle + 1
        else high = middle
      }
      return low
    },
  }
}
