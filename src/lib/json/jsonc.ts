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

/**
 * Parses JSON with comments, trailing commas and a byte order mark. For invalid JSON it returns the first syntax error.
 */
export function readJsonc(
  text: string,
): (JsonDocument & { syntaxError?: undefined }) | { syntaxError: SyntaxProblem } {
  const json = text.startsWith('\ufeff') ? text.slice(1) : text
  const positionOf = (offset: number): TextPosition => {
    const lines = json.slice(0, offset).split(/\r\n|\n|\r/)
    return { line: lines.length, column: (lines.at(-1) ?? '').length + 1 }
  }
  const errors: ParseError[] = []
  const root = jsonc.parseTree(json, errors, { allowTrailingComma: true })
  const [error] = errors
  if (!root || error)
    return { syntaxError: { ...positionOf(error?.offset ?? 0), reason: reasonOf(error, json) } }
  return {
    value: readValue(root),
    find: (path) => positionOf(innermost(root, path).offset),
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
