import { badRequest } from '../../sdk/errors.ts'
import { type PartHeader, readParameters, readPartHeader } from './part-header.ts'

/** One part of a form: what its header says, and the range of its content in the body, in bytes. */
export interface FormPart extends PartHeader {
  start: number
  end: number
  /** The content of the one field that is looked for; undefined for all others. */
  value: string | undefined
}

const maxHeaderBytes = 16 * 1024
const maxValueBytes = 1024
const maxParts = 256
const headerEnd = Buffer.from('\r\n\r\n')
const lineEnd = '\r\n'

/** The boundary in a content type of `multipart/form-data`; undefined where there is none. RFC 2046, section 5.1.1. */
export function boundaryOf(contentType: string): string | undefined {
  const [type = ''] = contentType.split(/[ \t;]/, 1)
  if (type.toLowerCase() !== 'multipart/form-data') return undefined
  const boundary = readParameters(quoted(contentType), type.length)?.get('boundary')
  return boundary !== undefined && /^[\w'()+,./:=? -]{0,69}[\w'()+,./:=?-]$/.test(boundary)
    ? boundary
    : undefined
}

/** Some clients leave the quotes out where a boundary needs them: `boundary=a=b/c`. */
function quoted(contentType: string): string {
  return contentType.replace(/(;[ \t]*boundary=)([\w'()+,./:=?-]+)(?=[ \t]*(?:;|$))/i, '$1"$2"')
}

/**
 * Reads a `multipart/form-data` body (RFC 7578) that comes in chunks cut anywhere, and keeps no more of it in memory than
 * the headers of its parts and the value of one field. Throws `bad_request` for what is no such body, for what two
 * parsers could read in two ways, and where that field stands twice.
 */
export class MultipartScan {
  readonly #name: string
  readonly #boundary: Buffer
  /** What was received and not passed yet; the first bytes stand for the line end before the first boundary. */
  #held = Buffer.from(lineEnd)
  /** Where the held bytes begin in the body. */
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
    // What follows the last boundary is nobody's, and goes nowhere.
    if (this.#state === 'over') return
    this.#held = Buffer.concat([this.#held, chunk])
    while (this.#step());
  }

  /** All parts, once the body has ended. */
  end(): readonly FormPart[] {
    if (this.#state !== 'over') throw badRequest('The form is not complete: its last boundary is missing')
    return this.#parts
  }

  /** One move; false where it needs more bytes. */
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
      if (this.#held.length > maxHeaderBytes) throw badRequest('A part of the form has too long headers')
      return false
    }
    const header = readPartHeader(this.#held.subarray(0, end))
    if (isNearly(header.name, this.#name))
      throw badRequest(`'${header.name}' must be written '${this.#name}'`, this.#name)
    if (header.name === this.#name) {
      if (header.filename !== undefined)
        throw badRequest(`'${this.#name}' must be a field of the form, not a file`, this.#name)
      if (this.#parts.some(({ name }) => name === this.#name))
        throw badRequest(`'${this.#name}' stands more than once in the form`, this.#name)
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
        // What could be the beginning of a boundary stays, with the line end before it.
        this.#pass(Math.max(0, this.#held.length - this.#boundary.length - lineEnd.length + 1))
      }
      return false
    }
    const behind = at + this.#boundary.length
    if (this.#held.length < behind + lineEnd.length) return false
    const contentEnd = at - lineEnd.length
    const next = this.#held.toString('latin1', behind, behind + lineEnd.length)
    // Others take a bare LF for the end of a line, or find the boundary in the middle of one.
    const isDelimiter = contentEnd >= 0 && this.#held.toString('latin1', contentEnd, at) === lineEnd
    if (!isDelimiter || (next !== lineEnd && next !== '--'))
      throw badRequest('The boundary of the form stands where it ends no part')
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

/** Servers match names of fields in any case, or without the space around them. */
function isNearly(name: string, wanted: string): boolean {
  return name !== wanted && name.trim().toUpperCase() === wanted.toUpperCase()
}
