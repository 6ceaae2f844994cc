import { createRequire } from 'node:module'
import type { ErrorCode, Node, Pair } from 'yaml'
import type { JsonDocument, JsonPath, SyntaxProblem, TextPosition } from './json/jsonc.ts'

const require = createRequire(import.meta.url)

/** Loaded lazily: without a YAML file, startup is faster. */
function yaml(): typeof import('yaml') {
  return require('yaml')
}

/**
 * Parses YAML 1.2 with anchors and merge keys to JSON values. For invalid YAML it returns the first syntax error.
 */
export function readYaml(
  text: string,
): (JsonDocument & { syntaxError?: undefined }) | { syntaxError: SyntaxProblem } {
  const { LineCounter, parseDocument } = yaml()
  const lines = new LineCounter()
  const document = parseDocument(text, {
    lineCounter: lines,
    merge: true,
    uniqueKeys: false,
    prettyErrors: false,
    logLevel: 'silent',
  })
  const positionOf = (offset: number): TextPosition => {
    const { line, col } = lines.linePos(offset)
    return { line: Math.max(1, line), column: Math.max(1, col) }
  }
  const [error] = document.errors
  if (error)
    return { syntaxError: { ...positionOf(error.pos[0]), reason: reasons[error.code] ?? 'unexpected text' } }
  let value: unknown
  try {
    value = document.toJS()
  } catch {
    return { syntaxError: { line: 1, column: 1, reason: 'the aliases (*name) expand to too much text' } }
  }
  const root = document.contents
  return {
    value,
    find: (path) => positionOf(innermost(root, path)?.range?.[0] ?? 0),
    duplicates: duplicatesIn(root).map(({ path, node }) => ({
      path,
      position: positionOf(node.range?.[0] ?? 0),
    })),
  }
}

/** The parser's own messages could quote a secret from the file. */
const reasons: Readonly<Partial<Record<ErrorCode, string>>> = {
  BAD_ALIAS: 'not a valid alias',
  BAD_DQ_ESCAPE: 'an invalid escape in a string in double quotes',
  BAD_INDENT: 'the indentation does not fit the lines above',
  BLOCK_AS_IMPLICIT_KEY: 'a second ":" in one line; put the value in quotes',
  MISSING_CHAR: 'a quote, a bracket, ":" or another character is missing',
  MULTILINE_IMPLICIT_KEY: 'expected ":" after the name',
  MULTIPLE_DOCS: 'more than one document (---)',
  TAB_AS_INDENT: 'tabs are not allowed as indentation; use spaces',
}

function innermost(root: Node | null, path: JsonPath): Node | null {
  const { isMap, isNode, isSeq } = yaml()
  let node = root
  for (const step of path) {
    const child = isMap(node)
      ? node.items.findLast(({ key }) => nameOf(key) === String(step))?.value
      : isSeq(node)
        ? node.items[Number(step)]
        : undefined
    if (!isNode(child)) break
    node = child
  }
  return node
}

interface Duplicate {
  path: JsonPath
  node: Node
}

function duplicatesIn(node: unknown, path: JsonPath = [], found: Duplicate[] = []): Duplicate[] {
  const { isMap, isNode, isSeq } = yaml()
  if (isSeq(node))
    for (const [index, item] of node.items.entries()) duplicatesIn(item, [...path, index], found)
  if (!isMap(node)) return found
  const earlier = new Map<string, Node>()
  for (const pair of node.items) {
    const [name, value] = memberOf(pair)
    const before = earlier.get(name)
    if (before) found.push({ path: [...path, name], node: before })
    if (isNode(value)) earlier.set(name, value)
    duplicatesIn(value, [...path, name], found)
  }
  return found
}

function memberOf(pair: unknown): [name: string, value: unknown] {
  if (!yaml().isPair(pair)) return ['', undefined]
  const { key, value }: Pair = pair
  return [nameOf(key), value]
}

function nameOf(key: unknown): string {
  return String(yaml().isScalar(key) ? key.value : key)
}
