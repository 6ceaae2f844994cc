/** A string, number, word or sign of RFC 8259. */
const token =
  /"(?:[ !#-[\]-\uffff]|\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4}))*"|-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?|true|false|null|[{}[\]:,]/
const blanks = /[ \t\n\r]*/

type Expecting = 'value' | 'value or ]' | 'key' | 'key or }' | ':' | ', or end' | 'nothing'

/**
 * Where a text stops being JSON: line and column, from 1. Undefined for JSON. The parser's own message tells no place
 * for most errors, and quotes the text around it, which in a config file may be a key.
 */
export function findJsonError(text: string): { line: number; column: number } | undefined {
  const open: string[] = []
  let expecting: Expecting = 'value'
  let at = 0
  for (;;) {
    at = endOfMatch(blanks, text, at) ?? at
    if (at === text.length) return expecting === 'nothing' ? undefined : pathOf(text, at)
    const end = endOfMatch(token, text, at)
    const next: Expecting | undefined =
      end === undefined ? undefined : after(expecting, text.slice(at, end), open)
    if (end === undefined || next === undefined) return pathOf(text, at)
    expecting = next
    at = end
  }
}

function after(expecting: Expecting, found: string, open: string[]): Expecting | undefined {
  const isKey = found.startsWith('"')
  switch (expecting) {
    case 'key or }':
      return found === '}' ? close(open) : isKey ? ':' : undefined
    case 'key':
      return isKey ? ':' : undefined
    case ':':
      return found === ':' ? 'value' : undefined
    case ', or end':
      if (found === ',') return open.at(-1) === '{' ? 'key' : 'value'
      return found === (open.at(-1) === '{' ? '}' : ']') ? close(open) : undefined
    case 'value or ]':
      return found === ']' ? close(open) : afterValue(found, open)
    case 'value':
      return afterValue(found, open)
    case 'nothing':
      return undefined
  }
}

function afterValue(found: string, open: string[]): Expecting | undefined {
  if (found === '{' || found === '[') {
    open.push(found)
    return found === '{' ? 'key or }' : 'value or ]'
  }
  if ('}]:,'.includes(found)) return undefined
  return open.length > 0 ? ', or end' : 'nothing'
}

function close(open: string[]): Expecting {
  open.pop()
  return open.length > 0 ? ', or end' : 'nothing'
}

function endOfMatch(pattern: RegExp, text: string, from: number): number | undefined {
  const sticky = new RegExp(pattern, 'y')
  sticky.lastIndex = from
  return sticky.test(text) ? sticky.lastIndex : undefined
}

function pathOf(text: string, at: number): { line: number; column: number } {
  const before = text.slice(0, at)
  const lines = before.split(/\r\n|\n|\r/)
  return { line: lines.length, column: (lines.at(-1) ?? '').length + 1 }
}
