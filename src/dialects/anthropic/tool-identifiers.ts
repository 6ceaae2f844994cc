import { createHash } from 'node:crypto'
import { badRequest } from '../../sdk/errors.ts'
import { randomCallId as randomId } from '../shared/call-ids.ts'

/**
 * Anthropic takes `^[a-zA-Z0-9_-]{1,128}$` as the name of a tool (API reference, "Create a Message", `tools.name`);
 * other dialects also have dots, slashes and blanks. Such a name is sent with each of those characters as `-x` and its
 * hexadecimal code point and `-` (`files.read` is `files-x2e-read`), and an answer's name is read back the same way. No
 * memory is needed for it: a legal name that looks escaped already has its hyphens escaped too, so reading back is exact.
 */
const legal = /^[a-zA-Z0-9_-]{1,128}$/
const escaped = /-x([0-9a-f]{1,6})-/

/** Throws `bad_request` for a name that stays too long. */
export function toWireName(name: string, param: string): string {
  if (legal.test(name) && !escaped.test(name)) return name
  const safe = name.replace(/[^a-zA-Z0-9_]/gu, (character) => {
    return `-x${(character.codePointAt(0) ?? 0).toString(16)}-`
  })
  if (legal.test(safe)) return safe
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
 * The id as Anthropic takes it (API reference, `tool_use.id`: `^[a-zA-Z0-9_-]+$`). Others, such as `functions.f:0`, get
 * a replacement derived from the id, so that a call and its result agree in every turn without state.
 */
export function legalCallId(id: string): string {
  if (/^[a-zA-Z0-9_-]+$/.test(id)) return id
  return `toolu_${createHash('sha256').update(id).digest('hex').slice(0, 24)}`
}
