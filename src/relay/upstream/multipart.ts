import { isUtf8 } from 'node:buffer'
import { badRequest } from '../../sdk/errors.ts'

/** One part of a form: its header, and the byte range of its content in the body. */
export interface FormPart extends PartHeader {
  start: number
  end: number
  /** The content of the requested field; undefined for all others. */
  value: string | undefined
}

const maxHeaderBytes = 16 * 1024
const maxValueBytes = 1024
const maxParts = 256
const headerEnd = Buffer.from('\r\n\r\n')
const lineEnd = '\r\n'

/** The boundary in a content type of `multipart/form-data`; undefined if there is none. RFC 2046, section 5.1.1. */
export function boundaryOf(contentType: string): string | undefined {
  const [type = ''] = contentType.split(/[ \t;]/, 1)
  if (type.toLowerCase() !== 'multipart/form-data') return undefined
  const boundary = readParameters(quoted(contentType), type.length)?.get('boundary')
  return boundary !== undefined && /^[\w'()+,./:=? -]{0,69}[\w'()+,./:=?-]$/.test(boundary)
    ? boundary
    : undefined
}

/** Some clients omit required quotes around a boundary: `boundary=a=b/c`. */
function quoted(contentType: string): string {
  return contentType.replace(/(;[ \t]*boundary=)([\w'()+,./:=?-]+)(?=[ \t]*(?:;|$))/i, '$1"$2"')
}

/**
 * Parses a `multipart/form-data` body (RFC 7578) that arrives in arbitrary chunks, keeping in memory only
 * the headers of its parts and the value of one field. Throws `bad_request` if the body is malformed or ambiguous, that is if two
 * parsers could read it differently, and if that field occurs twice.
 */
export class MultipartScan {
  readonly #name: string
  readonly #boundary: Buffer
  /** Received bytes not processed yet; initially the line end that precedes the first boundary. */
  #held = Buffer.from(lineEnd)
  /** Offset of the held bytes in the body. */
  #offset = -lineEnd.length
  #state: 'preamble' | 'headers' | 'content' | 'over' = 'preamble'
  /** The part whose content is being read. */
  #header: PartHeader | undefined
  #start = 0
  readonly #parts: FormPart[] = []

  constructor(boundary: string, name: string) {
    this.#name = name
    this.#boundary = Buffer.from(`--${boundary}`)
  }

  push(chunk: Buffer): void {
    // Bytes after the last boundary are discarded.
    if (this.#state === 'over') return
    this.#held = Buffer.concat([this.#held, chunk])
    while (this.#step());
  }

  /** All parts, once the body has ended. */
  end(): readonly FormPart[] {
    if (this.#state !== 'over') throw badRequest('The form is not complete: its last boundary is missing')
    return this.#parts
  }

  /** One step; false if it needs more bytes. */
  #step(): boolean {
    switch (this.#state) {
      case 'headers':
        return this.#readHeader()
      case 'preamble':
      case 'content':
        return this.#readContent()
      case 'over':
        return false
    }
  }

  #readHeader(): boolean {
    const end = this.#held.indexOf(headerEnd)
    if (end === -1) {
      if (this.#held.length > maxHeaderBytes)
        throw badRequest('The headers of a part of the form are too long')
      return false
    }
    const header = readPartHeader(this.#held.subarray(0, end))
    if (isNearly(header.name, this.#name))
      throw badRequest(`'${header.name}' must be written '${this.#name}'`, this.#name)
    if (header.name === this.#name) {
      if (header.filename !== undefined)
        throw badRequest(`'${this.#name}' must be a field of the form, not a file`, this.#name)
      if (this.#parts.some(({ name }) => name === this.#name))
        throw badRequest(`'${this.#name}' occurs more than once in the form`, this.#name)
    }
    this.#pass(end + headerEnd.length)
    this.#header = header
    this.#start = this.#offset
    this.#state = 'content'
    return true
  }

  #readContent(): boolean {
    const isWanted = this.#header?.name === this.#name
    const at = this.#held.indexOf(this.#boundary)
    if (at === -1) {
      if (isWanted) {
        if (this.#held.length > maxValueBytes + this.#boundary.length + lineEnd.length) throw this.#tooLong()
      } else {
        // A possible beginning of a boundary is kept, with the line end before it.
        this.#pass(Math.max(0, this.#held.length - this.#boundary.length - lineEnd.length + 1))
      }
      return false
    }
    const behind = at + this.#boundary.length
    if (this.#held.length < behind + lineEnd.length) return false
    const contentEnd = at - lineEnd.length
    const next = this.#held.toString('latin1', behind, behind + lineEnd.length)
    // Other parsers accept a bare LF as a line end, or find the boundary in the middle of a line.
    const isDelimiter = contentEnd >= 0 && this.#held.toString('latin1', contentEnd, at) === lineEnd
    if (!isDelimiter || (next !== lineEnd && next !== '--'))
      throw badRequest('The boundary of the form appears where it does not end a part')
    if (this.#header) {
      if (isWanted && contentEnd > maxValueBytes) throw this.#tooLong()
      const value = isWanted ? this.#held.toString('utf8', 0, contentEnd) : undefined
      this.#parts.push({ ...this.#header, start: this.#start, end: this.#offset + contentEnd, value })
    }
    if (this.#parts.length >= maxParts) throw badRequest('The form has too many parts')
    this.#pass(behind + lineEnd.length)
    this.#state = next === '--' ? 'over' : 'headers'
    return this.#state !== 'over'
  }

  #tooLong(): Error {
    return badRequest(`'${this.#name}' is too long`, this.#name)
  }

  #pass(bytes: number): void {
    this.#held = this.#held.subarray(bytes)
    this.#offset += bytes
  }
}

/** Some servers match field names case-insensitively, or ignore surrounding whitespace. */
function isNearly(name: string, wanted: string): boolean {
  return name !== wanted && name.trim().toUpperCase() === wanted.toUpperCase()
}

/** The header of one part of a form, as far as it is forwarded. */
export interface PartHeader {
  name: string
  /** Undefined: the part is a plain field. */
  filename: string | undefined
  contentType: string | undefined
}

const token = "[\\w!#$%&'*+.^`|~-]+"
const fieldName = new RegExp(`^${token}$`)
const parameter = new RegExp(`[ \\t]*;[ \\t]*(${token})=(?:"([^"]*)"|(${token}))`, 'y')
/** Names of the parameters that RFC 7578, section 4.2, knows. */
const known = ['name', 'filename']
/** Encodings that leave a body unchanged. Go decodes `quoted-printable` implicitly, others `base64`. */
const identityEncodings = ['binary', '8bit', '7bit']

/**
 * Parses the header block of a part, without the terminating blank line. Form parsers disagree about everything except
 * the plain form: `form-data; name="..."; filename="..."`, each parameter once, on one line. Throws `bad_request` for
 * anything else, because an upstream could read a different name in it. RFC 7578, section 4.2; RFC 2183.
 */
function readPartHeader(block: Buffer): PartHeader {
  if (!isUtf8(block)) throw malformed('is not valid UTF-8')
  const headers = headersOf(block.toString())
  const encoding = headers.get('content-transfer-encoding')
  if (encoding !== undefined && !identityEncodings.includes(encoding.toLowerCase()))
    throw malformed('has a Content-Transfer-Encoding other than binary, 8bit or 7bit')
  const contentType = headers.get('content-type')
  if (contentType !== undefined && (!/^[ -~]+$/.test(contentType) || /^multipart\//i.test(contentType)))
    throw malformed('has a Content-Type that is not allowed there')
  const disposition = headers.get('content-disposition')
  if (disposition === undefined) throw malformed('has no Content-Disposition')
  return { ...readDisposition(disposition), contentType }
}

/** The parameters of a header value, starting at `from`; undefined if malformed or repeated. */
function readParameters(text: string, from: number): ReadonlyMap<string, string> | undefined {
  const found = new Map<string, string>()
  let at = from
  while (at < text.length) {
    parameter.lastIndex = at
    const match = parameter.exec(text)
    const name = match?.[1]?.toLowerCase()
    if (!match || name === undefined || found.has(name)) return undefined
    found.set(name, match[2] ?? match[3] ?? '')
    at = parameter.lastIndex
  }
  return found
}

function headersOf(block: string): ReadonlyMap<string, string> {
  const headers = new Map<string, string>()
  for (const line of block.split('\r\n')) {
    // biome-ignore lint/suspicious/noControlCharactersInRegex: rejecting them is the purpose
    if (/[\u0000-\u0008\u000a-\u001f\u007f]/.test(line)) throw malformed('holds control characters')
    if (/^[ \t]/.test(line)) throw malformed('is folded over several lines')
    const colon = line.indexOf(':')
    const name = line.slice(0, Math.max(0, colon)).toLowerCase()
    if (!fieldName.test(name)) throw malformed('is not well formed')
    if (headers.has(name)) throw malformed(`names ${name} more than once`)
    headers.set(name, line.slice(colon + 1).trim())
  }
  return headers
}

function readDisposition(text: string): Pick<PartHeader, 'name' | 'filename'> {
  const [type = ''] = text.split(/[ \t;]/, 1)
  if (type.toLowerCase() !== 'form-data') throw malformed('has a Content-Disposition other than form-data')
  const parameters = readParameters(text, type.length)
  if (!parameters) throw malformed('has a Content-Disposition that is not well formed')
  for (const [name, value] of parameters) {
    if (!known.includes(name))
      throw malformed("has a Content-Disposition with a parameter other than 'name' and 'filename'")
    if (isAmbiguous(value)) throw malformed(`has a ${name} that can be read in more than one way`)
  }
  const name = parameters.get('name')
  if (name === undefined || name === '') throw malformed("has a Content-Disposition without 'name'")
  if (name.includes('\\')) throw malformed('has a name that can be read in more than one way')
  return { name, filename: parameters.get('filename') }
}

/**
 * A backslash before the closing quote escapes it for some parsers only; some split at semicolons
 * even inside quotes.
 */
function isAmbiguous(value: string): boolean {
  return value.endsWith('\\') || /;\s*(?:file)?name[\s*\d]*=/i.test(value)
}

function malformed(what: string): Error {
  return badRequest(`The header of a part of the form ${what}`)
}
