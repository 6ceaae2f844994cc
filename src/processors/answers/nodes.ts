import { isObject, type JsonObject } from '../../lib/json/read.ts'
import type { Edit } from '../../lib/json/splice.ts'
import { type JsonNode, memberOf } from '../../lib/json/tree.ts'

/** Members that hold token probabilities. */
export const probabilityMembers: ReadonlySet<string> = new Set([
  'logprobs',
  'logprobsResult',
  'prompt_logprobs',
  'completion_probabilities',
])

/** The event of a JSON text; undefined if it is not an object, which is passed on unchanged. */
export function parsedEvent(json: string): JsonObject | undefined {
  try {
    const value: unknown = JSON.parse(json)
    return isObject(value) ? value : undefined
  } catch {
    return undefined
  }
}

/** The value at the end of a path. */
export function nodeAt(root: JsonNode, path: readonly (string | number)[]): JsonNode | undefined {
  let node: JsonNode | undefined = root
  for (const step of path) {
    if (node?.type === 'array' && typeof step === 'number') node = node.items[step]
    else node = node?.type === 'object' ? memberOf(node, String(step)) : undefined
  }
  return node
}

/** Token probabilities spell out the original text. */
export function withoutProbabilities(node: JsonNode): Edit[] {
  if (node.type === 'array') return node.items.flatMap(withoutProbabilities)
  if (node.type !== 'object') return []
  return node.members.flatMap(({ key, value }) => {
    if (!probabilityMembers.has(key)) return withoutProbabilities(value)
    return value.type === 'word' ? [] : [{ start: value.start, end: value.end, text: 'null' }]
  })
}
