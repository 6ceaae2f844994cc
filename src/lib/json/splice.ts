/**
 * Byte-exact changes to a JSON object. Parsing and serializing again would change 12345678901234567890 to 12345678901234567000
 * and
 * -0 to 0, drop duplicate members and change white space; replacing byte ranges preserves everything else.
 */

/** One member of the outermost object. Numbers are byte offsets. */
export interface Member {
  key: string
  /** The opening quote of the key. */
  keyStart: number
  valueStart: number
  valueEnd: number
}

/** Byte offsets; of a string including its quotes. */
export interface ByteRange {
  start: number
  end: number
}

export interface JsonScan {
  /** Offset of the opening brace. */
  start: number
  members: Member[]
  /** Maximum nesting depth; the outermost object counts as 1. */
  depth: number
  /** String values of at least {@link longBytes} nested in a member's value, in order of position. */
  long: ByteRange[]
  /** End offsets of the objects and arrays directly in a member's value: for a list of messages, of each message. */
  ends: number[]
}

export interface Edit {
  start: number
  end: number
  text: string
}

/** Minimum length of a long string. */
const longBytes = 1024

/**
 * Finds the members of the outermost object. Returns undefined if it is not an object or is truncated;
 * it does not otherwise check the JSON, so parse first.
 */
export function scanObject(bytes: Buffer, from = 0): JsonScan | undefined {
  const start = skipSpace(bytes, from)
  if (bytes[start] !== openBrace) return undefined
  const scan: JsonScan = { start, members: [], depth: 1, long: [], ends: [] }
  let at = skipSpace(bytes, start + 1)
  if (bytes[at] === closeBrace) return scan
  while (at < bytes.length) {
    if (bytes[at] !== quote) return undefined
    const keyStart = at
    const keyEnd = stringEnd(bytes, at)
    at = skipSpace(bytes, keyEnd)
    if (bytes[at] !== colon) return undefined
    const valueStart = skipSpace(bytes, at + 1)
    const valueEnd = valueEndOf(bytes, valueStart, scan)
    if (valueEnd === undefined) return undefined
    scan.members.push({ key: keyText(bytes, keyStart, keyEnd), keyStart, valueStart, valueEnd })
    at = skipSpace(bytes, valueEnd)
    if (bytes[at] === closeBrace) return scan
    if (bytes[at] !== comma) return undefined
    at = skipSpace(bytes, at + 1)
  }
  return undefined
}

/** Returns the bytes with all edits applied. Edits may be in any order and must not overlap. */
export function applyEdits(bytes: Buffer, edits: readonly Edit[]): Buffer {
  if (edits.length === 0) return bytes
  const sorted = sortedEdits(edits)
  const length = sorted.reduce(
    (sum, { start, end, text }) => sum + Buffer.byteLength(text) - (end - start),
    bytes.length,
  )
  const out = Buffer.allocUnsafe(length)
  let from = 0
  let to = 0
  for (const { start, end, text } of sorted) {
    to += bytes.copy(out, to, from, start)
    to += out.write(text, to)
    from = end
  }
  bytes.copy(out, to, from)
  return out
}

function sortedEdits(edits: readonly Edit[]): readonly Edit[] {
  return edits.length === 1 ? edits : edits.toSorted((a, b) => a.start - b.start || a.end - b.end)
}

/** Like {@link applyEdits}, but returns pieces: unchanged ones are views of `bytes`, which avoids copying large bodies. */
export function editedPieces(bytes: Buffer, edits: readonly Edit[]): Buffer[] {
  const pieces: Buffer[] = []
  let at = 0
  for (const edit of sortedEdits(edits)) {
    pieces.push(bytes.subarray(at, edit.start), Buffer.from(edit.text))
    at = edit.end
  }
  pieces.push(bytes.subarray(at))
  return pieces
}

const unicodeEscape = Buffer.from('\\u')

/**
 * Finds the string value of a member of the outermost object without a scan, which is possible if the quoted name (letters
 * only) occurs once in the bytes, as in most responses. Returns undefined otherwise. The member must exist.
 */
export function rangeOfUniqueMember(bytes: Buffer, quotedName: Buffer): ByteRange | undefined {
  const found = bytes.indexOf(quotedName)
  if (found === -1) return undefined
  const afterName = found + quotedName.length
  if (bytes.indexOf(quotedName, afterName) !== -1 || bytes.indexOf(unicodeEscape) !== -1) return undefined
  const at = skipSpace(bytes, afterName)
  if (bytes[at] !== colon) return undefined
  const start = skipSpace(bytes, at + 1)
  return bytes[start] === quote ? { start, end: stringEnd(bytes, start) } : undefined
}

const none: ReadonlySet<string> = new Set()

/** Returns edits that set members of the outermost object: existing values are replaced, others are prepended. */
export function setMembers(
  scan: JsonScan,
  values: Record<string, unknown>,
  removed: ReadonlySet<string> = none,
): Edit[] {
  const edits: Edit[] = []
  const added: string[] = []
  for (const key of Object.keys(values)) {
    const text = JSON.stringify(values[key])
    let exists = false
    for (const member of scan.members) {
      if (member.key !== key) continue
      exists = true
      edits.push({ start: member.valueStart, end: member.valueEnd, text })
    }
    if (!exists) added.push(`${JSON.stringify(key)}:${text}`)
  }
  if (removed.size > 0) edits.push(...removeMembers(scan, removed))
  if (added.length > 0) {
    const others = scan.members.some((member) => !removed.has(member.key))
    edits.push({ start: scan.start + 1, end: scan.start + 1, text: added.join(',') + (others ? ',' : '') })
  }
  return edits
}

function removeMembers(scan: JsonScan, removed: ReadonlySet<string>): Edit[] {
  const { members } = scan
  const lastKept = members.findLastIndex((member) => !removed.has(member.key))
  const edits: Edit[] = []
  for (const [index, member] of members.entries()) {
    if (!removed.has(member.key) || index > lastKept) continue
    const next = members[index + 1]
    if (next) edits.push({ start: member.keyStart, end: next.keyStart, text: '' })
  }
  const last = members.at(-1)
  if (last && lastKept < members.length - 1) {
    const start = members[lastKept]?.valueEnd ?? scan.start + 1
    edits.push({ start, end: last.valueEnd, text: '' })
  }
  return edits
}

/** Returns the offset after the closing quote of the string that opens at `open`. */
function stringEnd(bytes: Buffer, open: number): number {
  let at = open + 1
  // Most strings are short: search byte by byte first, then use the native search for long ones.
  const near = Math.min(bytes.length, at + 64)
  while (at < near) {
    const byte = bytes[at]
    if (byte === quote) return at + 1
    at += byte === backslash ? 2 : 1
  }
  for (;;) {
    const found = bytes.indexOf(quote, at)
    if (found === -1) return bytes.length
    let slashes = 0
    while (found - slashes - 1 >= at && bytes[found - slashes - 1] === backslash) slashes++
    if (slashes % 2 === 0) return found + 1
    at = found + 1
  }
}

function valueEndOf(bytes: Buffer, start: number, scan: JsonScan): number | undefined {
  const first = bytes[start]
  if (first === quote) return stringEnd(bytes, start)
  if (first === openBrace || first === openBracket) return nestedEnd(bytes, start, scan)
  let at = start
  while (at < bytes.length) {
    const byte = bytes[at]
    if (byte === comma || byte === closeBrace || isSpace(byte)) break
    at++
  }
  return at > start ? at : undefined
}

function nestedEnd(bytes: Buffer, start: number, scan: JsonScan): number | undefined {
  let level = 0
  let at = start
  while (at < bytes.length) {
    const byte = bytes[at]
    if (byte === quote) {
      const end = stringEnd(bytes, at)
      if (end - at >= longBytes && bytes[skipSpace(bytes, end)] !== colon) scan.long.push({ start: at, end })
      at = end
      continue
    }
    if (byte === openBrace || byte === openBracket) {
      level++
      if (level + 1 > scan.depth) scan.depth = level + 1
    } else if (byte === closeBrace || byte === closeBracket) {
      level--
      if (level === 0) return at + 1
      if (level === 1) scan.ends.push(at + 1)
    }
    at++
  }
  return undefined
}

/** A key may contain escapes (`"m\u006fdel"`); it is compared decoded. */
function keyText(bytes: Buffer, start: number, end: number): string {
  const raw = bytes.toString('utf8', start + 1, end - 1)
  if (!raw.includes('\\')) return raw
  try {
    return JSON.parse(`"${raw}"`)
  } catch {
    return raw // invalid JSON, which the parser reports to the client
  }
}

function skipSpace(bytes: Buffer, from: number): number {
  let at = from
  while (at < bytes.length && isSpace(bytes[at])) at++
  return at
}

export function isSpace(byte: number | undefined): boolean {
  return byte === 0x20 || byte === 0x0a || byte === 0x0d || byte === 0x09
}

/** Structural bytes of JSON (RFC 8259, section 2). */
export const quote = 0x22
export const backslash = 0x5c
export const openBrace = 0x7b
export const closeBrace = 0x7d
export const openBracket = 0x5b
export const closeBracket = 0x5d
export const colon = 0x3a
export const comma = 0x2c
