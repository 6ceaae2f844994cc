import { createHash } from 'node:crypto'
import { badRequest } from '../../sdk/errors.ts'
import { randomCallId as randomId } from '../shared/tools/call-ids.ts'

/**
 * Anthropic accepts `^[a-zA-Z0-9_-]{1,128}$` as the name of a tool (API reference, "Create a Message", `tools.name`); other
 * dialects also allow dots, slashes and spaces. Each of those is sent as `-x`, its hexadecimal code point and `-`
 * (`files.read` becomes `files-x2e-read`), and decoded in responses. Decoding is exact without state, because a legal name
 * that looks escaped has its hyphens escaped too.
 */
const legalName = /^[a-zA-Z0-9_-]{1,128}$/
const escaped = /-x([0-9a-f]{1,6})-/

/** The name that Anthropic receives. Throws `bad_request` if it is empty or too long. */
export function toWireName(name: string, param: string): string {
  if (legalName.test(name) && !escaped.test(name)) return name
  const safe = name.replace(/[^a-zA-Z0-9_]/gu, (character) => {
    return `-x${(character.codePointAt(0) ?? 0).toString(16)}-`
  })
  if (legalName.test(safe)) return safe
  throw badRequest(
    `'${param}' must be 1 to 128 letters, digits, '_' or '-' for the upstream of this model`,
    param,
    'invalid_value',
  )
}

export function fromWireName(name: string): string {
  return name.replace(new RegExp(escaped, 'g'), (whole, code: string) => {
    const point = Number.parseInt(code, 16)
    return point > 0x10ffff ? whole : String.fromCodePoint(point)
  })
}

/** An id for a tool call without one, in Anthropic's form. */
export function randomCallId(): string {
  return randomId('toolu_')
}

/**
 * An id that Anthropic accepts (API reference, `tool_use.id`: `^[a-zA-Z0-9_-]+$`). Any other, such as `functions.f:0`, is
 * replaced by a hash of it, so that a call and its result match in every turn without state.
 */
export function legalCallId(id: string): string {
  if (/^[a-zA-Z0-9_-]+$/.test(id)) return id
  return `toolu_${createHash('sha256').update(id).digest('hex').slice(0, 24)}`
}
