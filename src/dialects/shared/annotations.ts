import { isObject, objectsIn } from '../../lib/json/read.ts'
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
