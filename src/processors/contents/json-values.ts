import type { JsonNode } from '../../lib/json/tree.ts'

/** Whether a value contains a string that is not empty. */
export function holdsText(node: JsonNode): boolean {
  switch (node.type) {
    case 'string':
      return node.end - node.start > 2
    case 'array':
      return node.items.some(holdsText)
    case 'object':
      return node.members.some(({ value }) => holdsText(value))
    default:
      return false
  }
}

/** Whether a value is empty: null, false, an empty list and the like. */
export function isEmpty(node: JsonNode, bytes: Buffer): boolean {
  switch (node.type) {
    case 'string':
      return node.end - node.start === 2
    case 'array':
      return node.items.length === 0
    case 'object':
      return node.members.length === 0
    case 'word':
      return bytes.toString('latin1', node.start, node.end) !== 'true'
    case 'number':
      return false
  }
}

/** Whether a string is the text of a JSON object, list or string. */
export function isJsonText(text: string): boolean {
  if (!/^\s*[[{"]/.test(text)) return false
  try {
    JSON.parse(text)
    return true
  } catch {
    return false
  }
}

/** Path of an item. Lists directly within lists have no index of their own: the paths of `[[[[` would be larger than the tree. */
export function itemPath(path: string, index: number, item: JsonNode): string {
  return item.type === 'array' ? path : `${path}[${index}]`
}
