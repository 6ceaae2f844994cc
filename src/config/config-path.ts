import type { JsonPath, JsonPositions, SyntaxProblem, TextPosition } from '../lib/json/jsonc.ts'
import { pointerSteps } from '../lib/json/pointer.ts'
import { readConfigText, syntaxErrorText, syntaxOf } from './config-text.ts'

/** Formats the path of a model as in error messages: `google_models["gemma"]`. */
export function modelPath(group: string, alias: string): string {
  return `${groupName(group)}[${JSON.stringify(alias)}]`
}

export function activePath(group: string, index?: number): string {
  const path = isPlain(group) ? `active_models.${group}` : `active_models[${JSON.stringify(group)}]`
  return index === undefined ? path : `${path}[${index}]`
}

/** Appends a JSON pointer (RFC 6901) to a path: `/providers/0/api_type` is `.providers[0].api_type`. */
export function pathBelow(path: string, pointer: string): string {
  return pathOfMember(path, ...pointerSteps(pointer))
}

/** Appends names of members and indexes of items to a path. */
export function pathOfMember(path: string, ...steps: readonly (string | number)[]): string {
  return steps.map(String).reduce((path, step) => {
    if (/^\d+$/.test(step)) return `${path}[${step}]`
    return isPlain(step) ? `${path}.${step}` : `${path}[${JSON.stringify(step)}]`
  }, path)
}

function groupName(group: string): string {
  return isPlain(group) ? group : JSON.stringify(group)
}

function isPlain(name: string): boolean {
  return /^[A-Za-z_$][\w$-]*$/.test(name)
}

/** Formats a message about a position in models-config.json that has no path. */
export function atTextPosition({ line, column }: TextPosition, message: string): string {
  return `models-config.json (line ${line}, column ${column}): ${message}`
}

/** Parses the result of {@link atTextPosition}; undefined for any other message. */
export function fromTextPosition(text: string): { message: string; position: TextPosition } | undefined {
  const [whole, line, column] = /^models-config\.json \(line (\d+), column (\d+)\): /.exec(text) ?? []
  if (whole === undefined) return undefined
  return { message: text.slice(whole.length), position: { line: Number(line), column: Number(column) } }
}

/** Returns the position of an error in models-config.json; undefined for errors in variables, prompts and extensions. */
export function errorPosition(error: string, positions: JsonPositions | undefined): TextPosition | undefined {
  const path = readPath(error)
  if (!path || !positions || /^(?:LLM_ROUTER_\w+|models-config$)/.test(String(path[0]))) return undefined
  return positions.find(path)
}

/** Prefixes each error of a models-config.json with `file:line:column: `, as compilers do. */
export function errorsAtPositions(errors: readonly string[], text: string, path: string): string[] {
  const document = readConfigText(text, syntaxOf(path))
  return errors.map((error) => {
    const { message, position } = fromTextPosition(error) ?? {
      message: error,
      position: document.syntaxError ? undefined : errorPosition(error, document),
    }
    return position ? `${path}:${position.line}:${position.column}: ${message}` : message
  })
}

/** Formats a syntax error. The surrounding text is omitted, because it may be a key. */
export function syntaxErrorAt(error: SyntaxProblem, path: string): string {
  return `${path}:${error.line}:${error.column}: ${syntaxErrorText(error, syntaxOf(path))}`
}

const firstStep = /^(?:([A-Za-z_$][\w$-]*)|("(?:[^"\\]|\\.)*"))/
const nextStep = /^(?:\.([A-Za-z_$][\w$-]*)|\[(\d+)\]|\[("(?:[^"\\]|\\.)*")\])/

/** Parses the path at the start of an error message; undefined if there is none. */
export function readPath(error: string): JsonPath | undefined {
  const path: (string | number)[] = []
  const [begin, plain, quoted] = firstStep.exec(error) ?? []
  if (begin === undefined) return undefined
  path.push(plain ?? nameIn(quoted))
  let rest = error.slice(begin.length)
  for (let match = nextStep.exec(rest); match; match = nextStep.exec(rest)) {
    const [all, name, index, text] = match
    path.push(name ?? (index === undefined ? nameIn(text) : Number(index)))
    rest = rest.slice(all.length)
  }
  return rest.startsWith(':') ? path : undefined
}

function nameIn(quoted = '""'): string {
  return String(JSON.parse(quoted))
}

/** A message about a file, with its position. */
export interface Located {
  message: string
  line: number | null
  column: number | null
}

/** Parses an error of `errorsAtPositions`: `file:line:column: message`, without the file name. */
export function locatedError(error: string, path: string): Located {
  const rest = error.startsWith(`${path}:`) ? error.slice(path.length + 1) : error
  const [, line, column, message = rest] = /^(\d+):(\d+): ?(.*)$/s.exec(rest) ?? []
  return {
    message: message.trim(),
    line: line === undefined ? null : Number(line),
    column: column === undefined ? null : Number(column),
  }
}

/** Adds to warnings about a models-config.json their positions in its text. */
export function locatedWarnings(warnings: readonly string[], text: string, path: string): Located[] {
  if (warnings.length === 0) return []
  const document = readConfigText(text, syntaxOf(path))
  return warnings.map((warning) => {
    const located = fromTextPosition(warning)
    if (located) return { message: located.message, ...located.position }
    const position = document.syntaxError ? undefined : errorPosition(warning, document)
    return { message: warning, line: position?.line ?? null, column: position?.column ?? null }
  })
}
