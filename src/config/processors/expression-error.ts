import { RE2JS, RE2JSException } from 're2js'

/** Returns why an expression is invalid, with the position of the error counted from 1; undefined if it is valid. */
export function expressionError(expression: string): string | undefined {
  const unsupported = /(?<!\\)(?:\\\\)*(\(\?<?[=!]|\\[1-9]|\\k<)/.exec(expression)
  if (unsupported) {
    const [whole, construct = ''] = unsupported
    const position = unsupported.index + whole.length - construct.length + 1
    const name = construct.startsWith('(') ? 'look-around' : 'a back reference'
    return `${name} at character ${position} is not supported by RE2 syntax, which guarantees linear time`
  }
  try {
    return RE2JS.compile(expression).matches('') ? 'it matches the empty string' : undefined
  } catch (error) {
    if (!(error instanceof RE2JSException)) throw error
    const part = quotedIn(error.message)
    const at = part === undefined ? -1 : expression.indexOf(part)
    const where = at === -1 ? '' : ` at character ${at + 1}`
    return `${error.message.replace(/^error parsing regexp: /, '')}${where}`
  }
}

/** Returns the part of the expression that the message quotes in backticks at its end. */
function quotedIn(message: string): string | undefined {
  const begin = message.indexOf('`')
  return begin !== -1 && begin < message.length - 1 && message.endsWith('`')
    ? message.slice(begin + 1, -1)
    : undefined
}
