import { RE2JS, RE2JSException } from 're2js'

/** Why an expression cannot be used, with the position in it, counted from 1; undefined where it can. */
export function expressionError(expression: string): string | undefined {
  const unsupported = /(?<!\\)(?:\\\\)*(\(\?<?[=!]|\\[1-9]|\\k<)/.exec(expression)
  if (unsupported) {
    const [whole, what = ''] = unsupported
    const position = unsupported.index + whole.length - what.length + 1
    const name = what.startsWith('(') ? 'look-around' : 'a back reference'
    return `${name} at character ${position} is not supported; expressions take linear time (RE2)`
  }
  try {
    return RE2JS.compile(expression).matches('') ? 'it matches an empty text' : undefined
  } catch (error) {
    if (!(error instanceof RE2JSException)) throw error
    const part = quotedIn(error.message)
    const at = part === undefined ? -1 : expression.indexOf(part)
    const where = at === -1 ? '' : ` at character ${at + 1}`
    return `${error.message.replace(/^error parsing regexp: /, '')}${where}`
  }
}

/** The part of the expression that the message ends with, between backticks. */
function quotedIn(message: string): string | undefined {
  const begin = message.indexOf('`')
  return begin !== -1 && begin < message.length - 1 && message.endsWith('`')
    ? message.slice(begin + 1, -1)
    : undefined
}
