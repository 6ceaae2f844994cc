import { isNoArguments, type JsonObject, parseArguments, parseObject } from '../../lib/json/read.ts'

/*
 * The arguments of a tool call are what a model wrote: usually the JSON of an object, but a token limit cuts them anywhere and
 * small models get them wrong. Neither makes an answer unreadable.
 */

/**
 * Arguments as text: servers send an object where the format wants its JSON, and say "none" by an empty string, by `null` or
 * by leaving them out.
 */
export function argumentText(value: unknown): string {
  if (value === undefined || value === null) return ''
  if (typeof value === 'string') return value
  try {
    return JSON.stringify(value)
  } catch {
    return '[' // nested too deep to be written: no object for any reader
  }
}

/** The same for a complete call: no arguments become an empty object. */
export function wholeArgumentText(value: unknown): string {
  const text = argumentText(value)
  return isNoArguments(text) ? '{}' : text
}

/** The free text of a custom tool as the arguments of a function, which it is wherever custom tools are unknown. */
export function customArguments(input: string): string {
  return JSON.stringify({ input })
}

/** Whether a model wrote the arguments to their end, as the JSON of an object. */
export function isCompleteCall(text: string): boolean {
  return parseArguments(text) !== undefined
}

/**
 * Arguments of a call in a conversation's history, as JSON of an object whatever a model once wrote: refused, they would refuse
 * every later turn. `isMended` where they were none.
 */
export function historyArguments(value: unknown): { json: string; isMended: boolean } {
  const text = wholeArgumentText(value)
  if (parseArguments(text)) return { json: text, isMended: false }
  return { json: JSON.stringify(argumentObject(text)), isMended: true }
}

/** Why such arguments are reported. */
export const mendedArguments = 'arguments that are not a JSON object were converted'

/** Deeper than this, JSON.stringify may run out of stack. */
const maxDepth = 1000

/**
 * Arguments for a dialect that has room for an object only. Cut ones give the members that came, a string as far as it came.
 * Anything else becomes the value of one member, `invalid_arguments`: an empty object would call the tool with its defaults.
 */
export function argumentObject(text: string): JsonObject {
  const isDeep = text.length > maxDepth && depthOf(text) > maxDepth
  const read = isDeep ? undefined : (parseArguments(text) ?? objectSoFar(text))
  return read ?? { invalid_arguments: text }
}

/** The object that a cut JSON text begins; undefined for what is none. */
export function objectSoFar(text: string): JsonObject | undefined {
  const closers: string[] = []
  let isKey = false
  /** Behind the last complete value, or behind an opening bracket; the brackets open there are those open at the end. */
  let complete = 0
  const closedAt = (end: number, tail = ''): JsonObject | undefined =>
    parseObject(text.slice(0, end) + tail + closers.toReversed().join(''))
  for (let at = 0; at < text.length; at++) {
    switch (text[at]) {
      case '"': {
        const end = stringEnd(text, at)
        if (end === -1) return isKey ? closedAt(complete) : closedAt(uncutEnd(text), '"')
        at = end
        if (!isKey) complete = at + 1
        break
      }
      case '{':
      case '[':
        isKey = text[at] === '{'
        closers.push(isKey ? '}' : ']')
        complete = at + 1
        break
      case '}':
      case ']':
        closers.pop()
        complete = at + 1
        break
      case ',':
        complete = at
        isKey = closers.at(-1) === '}'
        break
      case ':':
        isKey = false
        break
    }
  }
  // A number may have been cut; a whole word was not.
  const isWord = /(?:true|false|null)\s*$/.test(text.slice(-16))
  return (isWord ? closedAt(text.length) : undefined) ?? closedAt(complete)
}

/** Offset of the closing quote of the string that opens at `open`; -1 where it is cut. */
function stringEnd(text: string, open: number): number {
  for (let at = open + 1; at < text.length; at++) {
    if (text[at] === '\\') at++
    else if (text[at] === '"') return at
  }
  return -1
}

/** The end of a text that was cut inside a string, without half an escape or half a character. */
function uncutEnd(text: string): number {
  const escaped = /\\(?:u(?:[\da-f]{0,3}|d[89ab][\da-f]{2}))?$/i.exec(text.slice(-6))
  if (escaped) {
    const at = text.length - escaped[0].length
    let slashes = 1
    while (text[at - slashes] === '\\') slashes++
    if (slashes % 2 === 1) return at
  }
  const last = text.charCodeAt(text.length - 1)
  return last >= 0xd800 && last < 0xdc00 ? text.length - 1 : text.length
}

function depthOf(text: string): number {
  let depth = 0
  let deepest = 0
  for (let at = 0; at < text.length; at++) {
    const character = text[at]
    if (character === '"') {
      const end = stringEnd(text, at)
      if (end === -1) return deepest
      at = end
    } else if (character === '{' || character === '[') deepest = Math.max(deepest, ++depth)
    else if (character === '}' || character === ']') depth--
  }
  return deepest
}
