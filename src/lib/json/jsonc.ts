import jsonc, { type Node, type ParseError } from 'jsonc-parser'

export interface TextPosition {
  /** Line and column count from 1; columns are UTF-16 code units, as in editors. */
  line: number
  column: number
}

export type JsonPath = readonly (string | number)[]

export interface JsonPositions {
  /** Returns the start of a value; for a path that does not exist, the start of its innermost existing part. */
  find(path: JsonPath): TextPosition
  /** Duplicate member names; the last value applies. Positions are those of the earlier values. */
  readonly duplicates: readonly { path: JsonPath; position: TextPosition }[]
}

export interface JsonDocument extends JsonPositions {
  readonly value: unknown
}

/** The parser is recursive, and deeper nesting could exceed the stack. */
const maxDepth = 128

/**
 * Parses JSON with comments, trailing commas and a byte order mark. For invalid JSON it returns the position of the first
 * syntax error, without the parser's message, which could quote a secret from the file. Nesting deeper than 128 levels counts
 * as one.
 */
export function readJsonc(
  text: string,
): (JsonDocument & { syntaxError?: undefined }) | { syntaxError: TextPosition } {
  const json = text.startsWith('\ufeff') ? text.slice(1) : text
  const positionOf = (offset: number): TextPosition => {
    const lines = json.slice(0, offset).split(/\r\n|\n|\r/)
    return { line: lines.length, column: (lines.at(-1) ?? '').length + 1 }
  }
  const deep = firstTooDeep(json)
  if (deep !== undefined) return { syntaxError: positionOf(deep) }
  const errors: ParseError[] = []
  const root = jsonc.parseTree(json, errors, { allowTrailingComma: true })
  if (!root || errors.length > 0) return { syntaxError: positionOf(errors[0]?.offset ?? 0) }
  return {
    value: readValue(root),
    find: (path) => positionOf(innermost(root, path).offset),
    duplicates: duplicatesIn(root).map(({ path, node }) => ({ path, position: positionOf(node.offset) })),
  }
}

function firstTooDeep(json: string): number | undefined {
  const scanner = jsonc.createScanner(json, true)
  let depth = 0
  for (scanner.scan(); scanner.getTokenLength() > 0; scanner.scan()) {
    const offset = scanner.getTokenOffset()
    const first = json[offset]
    if (first === '{' || first === '[') depth++
    else if (first === '}' || first === ']') depth--
    if (depth > maxDepth) return offset
  }
  return undefined
}

/** Unlike jsonc.getNodeValue, handles a member `__proto__` and returns ordinary objects. */
function readValue(node: Node): unknown {
  if (node.type === 'array') return node.children?.map(readValue) ?? []
  if (node.type !== 'object') return node.value
  return Object.fromEntries((node.children ?? []).map((member) => [nameOf(member), readMember(member)]))
}

function innermost(root: Node, path: JsonPath): Node {
  let node = root
  for (const step of path) {
    const child =
      node.type === 'array'
        ? node.children?.[Number(step)]
        : node.children?.findLast((member) => nameOf(member) === step)?.children?.[1]
    if (!child) break
    node = child
  }
  return node
}

interface Duplicate {
  path: JsonPath
  node: Node
}

function duplicatesIn(node: Node, path: (string | number)[] = [], found: Duplicate[] = []): Duplicate[] {
  const earlier = new Map<string, Node>()
  for (const [index, child] of (node.children ?? []).entries()) {
    const [key, value] = child.type === 'property' ? (child.children ?? []) : [undefined, child]
    if (!value) continue
    const name = key ? nameOf(child) : index
    path.push(name)
    if (typeof name === 'string') {
      const node = earlier.get(name)
      if (node) found.push({ path: [...path], node })
      earlier.set(name, value)
    }
    duplicatesIn(value, path, found)
    path.pop()
  }
  return found
}

function nameOf(member: Node): string {
  return String(member.children?.[0]?.value)
}

function readMember({ children }: Node): unknown {
  return children?.[1] && readValue(children[1])
}
