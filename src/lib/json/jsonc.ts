import jsonc, { type Node, type ParseError } from 'jsonc-parser'

export interface TextPosition {
  /** Line and column count from 1; columns are UTF-16 code units, as in editors. */
  line: number
  column: number
}

/** The first syntax error of a file. */
export interface SyntaxProblem extends TextPosition {
  /** What is wrong there, without any text of the file, which could be a secret. */
  readonly reason: string
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
 * Parses JSON with comments, trailing commas and a byte order mark. For invalid JSON it returns the first syntax error. Nesting
 * deeper than 128 levels counts as one.
 */
export function readJsonc(
  text: string,
): (JsonDocument & { syntaxError?: undefined }) | { syntaxError: SyntaxProblem } {
  const json = text.startsWith('\ufeff') ? text.slice(1) : text
  const positionOf = positionsIn(json)
  const deep = firstTooDeep(json)
  if (deep !== undefined)
    return { syntaxError: { ...positionOf(deep), reason: `nested deeper than ${maxDepth} levels` } }
  const errors: ParseError[] = []
  const root = jsonc.parseTree(json, errors, { allowTrailingComma: true })
  const [error] = errors
  if (!root || error)
    return { syntaxError: { ...positionOf(error?.offset ?? 0), reason: reasonOf(error, json) } }
  const members = new Map<Node, ReadonlyMap<string, Node>>()
  return {
    value: readValue(root),
    find: (path) => positionOf(innermost(root, path, members).offset),
    duplicates: duplicatesIn(root).map(({ path, node }) => ({ path, position: positionOf(node.offset) })),
  }
}

function reasonOf(error: ParseError | undefined, json: string): string {
  const rest = json.slice(error?.offset ?? 0)
  if (json.trim() === '') return 'the file is empty'
  if (rest === json.trimStart()) return 'expected "{"; the name of a YAML file must end in .yaml or .yml'
  if (rest.startsWith("'")) return 'expected double quotes instead of single quotes'
  return (error && reasons[jsonc.printParseErrorCode(error.error)]) ?? 'unexpected text'
}

const reasons: Readonly<Partial<Record<ReturnType<typeof jsonc.printParseErrorCode>, string>>> = {
  InvalidSymbol: 'expected a value, or a name in double quotes',
  InvalidNumberFormat: 'not a valid number',
  PropertyNameExpected: 'expected a name in double quotes',
  ValueExpected: 'expected a value',
  ColonExpected: 'expected ":" after the name',
  CommaExpected: 'expected "," or the end of the object or list',
  CloseBraceExpected: 'expected "}"',
  CloseBracketExpected: 'expected "]"',
  EndOfFileExpected: 'expected the end of the file',
  UnexpectedEndOfComment: 'the comment is not closed',
  UnexpectedEndOfString: 'the closing double quote of a string is missing',
  UnexpectedEndOfNumber: 'not a valid number',
  InvalidUnicode: 'an invalid \\u escape in a string',
  InvalidEscapeCharacter: 'an invalid escape in a string; a backslash itself is written as \\\\',
  InvalidCharacter: 'a control character in a string, such as a tab or a line break',
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

/** Positions by offset. A file can have as many errors as lines, so the text is not searched for each. */
function positionsIn(text: string): (offset: number) => TextPosition {
  let starts: number[] | undefined
  return (offset) => {
    starts ??= [0, ...Array.from(text.matchAll(/\r\n|\n|\r/g), ({ index, 0: end }) => index + end.length)]
    let [line, beyond] = [0, starts.length]
    while (beyond - line > 1) {
      const middle = (line + beyond) >> 1
      if ((starts[middle] ?? 0) <= offset) line = middle
      else beyond = middle
    }
    return { line: line + 1, column: offset - (starts[line] ?? 0) + 1 }
  }
}

/** `known`: cache of the members of objects by name. */
function innermost(root: Node, path: JsonPath, known: Map<Node, ReadonlyMap<string, Node>>): Node {
  let node = root
  for (const step of path) {
    const child =
      node.type === 'array' ? node.children?.[Number(step)] : membersOf(node, known).get(`${step}`)
    if (!child) break
    node = child
  }
  return node
}

/** Of duplicate names, the last value. */
function membersOf(node: Node, known: Map<Node, ReadonlyMap<string, Node>>): ReadonlyMap<string, Node> {
  let members = known.get(node)
  if (!members) {
    const pairs = (node.children ?? []).flatMap((member): [string, Node][] => {
      const value = member.children?.[1]
      return value ? [[nameOf(member), value]] : []
    })
    members = new Map(pairs)
    known.set(node, members)
  }
  return members
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
