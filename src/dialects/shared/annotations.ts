import { isObject, objectsIn } from '../../lib/json/read.ts'
import type { CitedRange } from '../../sdk/content.ts'

const offsetMembers = ['start_index', 'end_index', 'index'] as const

/**
 * Ranges that the annotations of a text name. Source: OpenAI API reference, "Create chat completion" and "The response object".
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

/** Chats have the offsets in a member that is named like the type, responses in the annotation itself. */
export function annotatedRange(
  annotation: unknown,
  path: readonly (string | number)[],
  text: CitedRange['text'],
): CitedRange[] {
  if (!isObject(annotation)) return []
  const { type } = annotation
  const inner = typeof type === 'string' ? annotation[type] : undefined
  const range = (object: object, within: readonly (string | number)[]): CitedRange[] => {
    const members = offsetMembers.filter((name) => name in object)
    return members.length === 0 ? [] : [{ path: within, members, unit: 'characters', text }]
  }
  return [...range(annotation, path), ...(isObject(inner) ? range(inner, [...path, String(type)]) : [])]
}
