import { isObject, type JsonObject, numberOf, objectsIn } from '../../../lib/json/read.ts'
import type { CitedRange } from '../../../sdk/content.ts'
import { memberOf, nameIn, objectIn } from '../members.ts'

type Path = readonly (string | number)[]
type TextOfPart = (part: number | undefined, isQuoted: boolean) => CitedRange['text']

/**
 * The ranges that a candidate cites, in bytes of UTF-8. `textOf` locates the cited text by the index of its part (undefined:
 * the whole candidate) and by whether the citation quotes it. Source: Gemini API reference, "GroundingSupport" and
 * "CitationMetadata".
 */
export function citedInCandidate(candidate: JsonObject, path: Path, textOf: TextOfPart): CitedRange[] {
  return [...supports(candidate, path, textOf), ...sources(candidate, path, textOf)]
}

function supports(candidate: JsonObject, path: Path, textOf: TextOfPart): CitedRange[] {
  const metadata = objectIn(candidate, 'groundingMetadata')
  if (!metadata) return []
  const name = nameIn(metadata, 'groundingSupports')
  const at = [...path, nameIn(candidate, 'groundingMetadata'), name]
  return objectsIn(metadata[name]).flatMap((support, position) => {
    const { segment } = support
    if (!isObject(segment)) return []
    const text = textOf(numberOf(memberOf(segment, 'partIndex')) ?? 0, typeof segment.text === 'string')
    return [{ ...offsetsOf(segment), path: [...at, position, 'segment'], text, quote: 'text' }]
  })
}

/** `citationSources` in the Gemini API, `citations` in Vertex AI. */
function sources(candidate: JsonObject, path: Path, textOf: TextOfPart): CitedRange[] {
  const metadata = objectIn(candidate, 'citationMetadata')
  if (!metadata) return []
  return ['citationSources', 'citations'].flatMap((member) => {
    const name = nameIn(metadata, member)
    const at = [...path, nameIn(candidate, 'citationMetadata'), name]
    return objectsIn(metadata[name]).map(
      (source, position): CitedRange => ({
        ...offsetsOf(source),
        path: [...at, position],
        text: textOf(undefined, false),
      }),
    )
  })
}

/** Google's JSON omits an offset of 0. */
function offsetsOf(range: JsonObject): Pick<CitedRange, 'members' | 'unit'> {
  return { members: [nameIn(range, 'startIndex'), nameIn(range, 'endIndex')], unit: 'utf8' }
}

export function citedInAnswer({ candidates }: Readonly<JsonObject>): CitedRange[] {
  return objectsIn(candidates).flatMap((candidate, position) => {
    const path: Path = ['candidates', position]
    const parts = isObject(candidate.content) ? objectsIn(candidate.content.parts) : []
    const texts = parts.flatMap(({ text, thought }, part) =>
      typeof text === 'string' && thought !== true ? [part] : [],
    )
    const [only] = texts.length === 1 ? texts : []
    return citedInCandidate(candidate, path, (part) => {
      // Not every server counts thoughts as parts.
      const cited = part !== undefined && texts.includes(part) ? part : only
      return cited === undefined ? undefined : { path: [...path, 'content', 'parts', cited, 'text'] }
    })
  })
}
