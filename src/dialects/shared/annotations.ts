import { filledTextOf, isObject, type JsonObject, numberOf, objectsIn, present } from '../../lib/json/read.ts'
import type { Citation } from '../../sdk/chat.ts'
import type { CitedRange } from '../../sdk/content.ts'

const offsetMembers = ['start_index', 'end_index', 'index'] as const

/**
 * The ranges of a text that its annotations refer to. Source: OpenAI API reference, "Create chat completion" and "The response
 * object".
 */
export function annotatedRanges(
  annotations: unknown,
  at: readonly (string | number)[],
  text: CitedRange['text'],
): CitedRange[] {
  return objectsIn(annotations).flatMap((annotation, position) =>
    annotatedRange(annotation, [...at, position], text),
  )
}

/** Chat completions nest the offsets in a member named after the annotation's type; responses have them in the annotation. */
export function annotatedRange(
  annotation: unknown,
  path: readonly (string | number)[],
  text: CitedRange['text'],
): CitedRange[] {
  if (!isObject(annotation)) return []
  const { type } = annotation
  const nested = typeof type === 'string' ? annotation[type] : undefined
  const range = (object: object, at: readonly (string | number)[]): CitedRange[] => {
    const members = offsetMembers.filter((name) => name in object)
    return members.length === 0 ? [] : [{ path: at, members, unit: 'characters', text }]
  }
  return [...range(annotation, path), ...(isObject(nested) ? range(nested, [...path, String(type)]) : [])]
}

/**
 * Reads annotations of OpenAI's APIs. Chat completions nest the members of a `url_citation`, responses do not. `before`: length
 * of the response before the annotated text. Annotations of files have no address.
 */
export function readAnnotations(annotations: unknown, before = 0): Citation[] {
  return objectsIn(annotations).flatMap((annotation) => {
    if (annotation.type === 'file_citation' || annotation.type === 'container_file_citation')
      return [present({ title: filledTextOf(annotation.filename) })]
    if (annotation.type !== 'url_citation') return []
    const source = isObject(annotation.url_citation) ? annotation.url_citation : annotation
    const [start, end] = [numberOf(source.start_index), numberOf(source.end_index)]
    return [
      present({
        url: filledTextOf(source.url),
        title: filledTextOf(source.title),
        start: start === undefined ? undefined : start + before,
        end: end === undefined ? undefined : end + before,
      }),
    ]
  })
}

/** The members of a `url_citation`, all of them required. A source without a range supports the whole text, of this length. */
export function urlCitation(citation: Citation & { url: string }, length: number): JsonObject {
  const { url, title = url, start = 0, end = length } = citation
  return { url, title, start_index: start, end_index: end }
}
