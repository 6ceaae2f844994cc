import { parseExactObject } from '../../../lib/json/exact.ts'
import type { JsonObject } from '../../../lib/json/read.ts'

/*
 * The arguments of a tool call are generated text: usually a JSON object, but a token limit may truncate them anywhere, and
 * small models get them wrong. Neither makes a response invalid.
 */

/** Arguments as JSON text. Some servers send the object itself, and an empty string, `null` or nothing for no arguments. */
export function argumentText(value: unknown): string {
  if (value === undefined || value === null) return ''
  if (typeof value === 'string') return value
  try {
    return JSON.stringify(value)
  } catch {
    return '[' // nested too deeply to serialize; invalid arguments to any reader
  }
}

/** The same for a complete call, where no arguments become `{}`. */
export function wholeArgumentText(value: unknown): string {
  const text = argumentText(value)
  return isNoArguments(text) ? '{}' : text
}

/** The input of a custom tool as arguments of the function that stands for it in other dialects. */
export function customArguments(input: string): string {
  return JSON.stringify({ input })
}

/** Parses the arguments of a complete call; {} if there are none, undefined if they are not an object. */
export function parseArguments(text: string): JsonObject | undefined {
  const trimmed = text.trim()
  return isNoArguments(trimmed) ? {} : parseExactObject(trimmed)
}

/** Whether the text is a complete JSON object, or an accepted form of no arguments. */
export function areCompleteArguments(text: string): boolean {
  return parseArguments(text) !== undefined
}

/**
 * Arguments of an earlier call, as JSON text of an object. Invalid ones are converted, because rejecting them would reject
 * every later turn of the conversation.
 */
export function historyArguments(value: unknown): { json: string; isConverted: boolean } {
  const text = wholeArgumentText(value)
  if (parseArguments(text)) return { json: text, isConverted: false }
  return { json: JSON.stringify(argumentObject(text)), isConverted: true }
}

/** The reason reported for converted arguments. */
export const convertedArguments = 'arguments that are not a JSON object were converted'

/** Deeper than this, JSON.stringify may run out of stack. */
const maxDepth = 1000

/**
 * Arguments for a dialect that accepts only objects. Truncated ones keep the members that were received, the last string
 * possibly in part. Anything else becomes the value of `invalid_arguments`: an empty object would call the tool with its
 * defaults.
 */
export function argumentObject(text: string): JsonObject {
  const isDeep = text.length > maxDepth && depthOf(text) > maxDepth
  const read = isDeep ? undefined : (parseArguments(text) ?? objectSoFar(text))
  return read ?? { invalid_arguments: text }
}

/** The part of an object that truncated JSON text contains; undefined if the text does not begin an object. */
export function objectSoFar(text: string): JsonObject | undefined {
  const closers: string[] = []
  let isKey = false
  /** Offset behind the last complete value or opening bracket. The same brackets are open there as at the end of the text. */
  let complete = 0
  const closedAt = (end: number, tail = ''): JsonObject | undefined =>
    parseExactObject(text.slice(0, end) + tail + closers.toReversed().join(''))
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
  // A number at the end may be truncated, a complete word is not.
  const isWord = /(?:true|false|null)\s*$/.test(text.slice(-16))
  return (isWord ? closedAt(text.length) : undefined) ?? closedAt(complete)
}

/** Offset of the closing quote of the string that opens at `open`; -1 if it is truncated. */
function stringEnd(text: string, open: number): number {
  for (let at = open + 1; at < text.length; at++) {
    if (text[at] === '\\') at++
    else if (text[at] === '"') return at
  }
  return -1
}

/** The length of a text that was truncated inside a string, without an incomplete escape or surrogate pair at its end. */
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

/** Whether a tool call has no arguments, which clients and models also express as an empty string or `null`. */
export function isNoArguments(text: string): boolean {
  const trimmed = text.length <= 16 ? text.trim() : text
  return trimmed === '' || trimmed === 'null'
}
