import { badRequest } from './errors.ts'

/** Where the value of a form field stands in a body, in bytes from its beginning. */
export interface FieldPlace {
  start: number
  end: number
  value: string
}

const maxHeaderBytes = 16 * 1024
const maxValueBytes = 1024
const maxParts = 256
const headerEnd = Buffer.from('\r\n\r\n')

/** The boundary in a content type of `multipart/form-data`; undefined where there is none. RFC 2046, section 5.1.1. */
export function boundaryOf(contentType: string): string | undefined {
  const found = /;\s*boundary=(?:"([^"]+)"|([^\s;"]+))/i.exec(contentType)
  const boundary = found?.[1] ?? found?.[2]
  return boundary !== undefined && /^[\w'()+,./:=? -]{0,69}[\w'()+,./:=?-]$/.test(boundary)
    ? boundary
    : undefined
}

/**
 * Looks for one field in a `multipart/form-data` body (RFC 7578) that comes in chunks cut anywhere, and keeps no more of
 * it in memory than the headers of a part and the value of that field. Throws `bad_request` for what is no such body.
 */
export class MultipartScan {
  readonly #name: string
  readonly #delimiter: Buffer
  /** What was received and not passed yet; the first bytes stand for the line end before the first delimiter. */
  #held = Buffer.from('\r\n')
  /** Where the held bytes begin in the body. */
  #offset = -2
  #state: 'body' | 'headers' | 'wanted' | 'over' = 'body'
  #parts = 0
  #found: FieldPlace | undefined

  constructor(boundary: string, name: string) {
    this.#name = name
    this.#delimiter = Buffer.from(`\r\n--${boundary}`)
  }

  push(chunk: Buffer): void {
    if (this.#state === 'over') {
      this.#offset += chunk.length
      return
    }
    this.#held = Buffer.concat([this.#held, chunk])
    while (this.#step());
  }

  /** The field, once the body has ended; undefined where it has none. */
  end(): FieldPlace | undefined {
    if (this.#state !== 'over') throw badRequest('The form is not complete: its last boundary is missing')
    return this.#found
  }

  /** One move; false where it needs more bytes. */
  #step(): boolean {
    switch (this.#state) {
      case 'headers':
        return this.#readHeaders()
      case 'body':
      case 'wanted':
        return this.#readBody()
      case 'over':
        return false
    }
  }

  #readHeaders(): boolean {
    // The line end of the delimiter line is the first of the two when a part has no headers at all.
    const end = this.#held.indexOf(headerEnd)
    if (end === -1) {
      if (this.#held.length > maxHeaderBytes) throw badRequest('A part of the form has too long headers')
      return false
    }
    const disposition = /^content-disposition:.*$/im.exec(this.#held.toString('utf8', 0, end))?.[0] ?? ''
    const name = /;\s*name=(?:"([^"]*)"|([^\s;"]+))/i.exec(disposition)
    this.#pass(end + headerEnd.length)
    const isWanted = (name?.[1] ?? name?.[2]) === this.#name
    if (isWanted && this.#found)
      throw badRequest(`'${this.#name}' stands more than once in the form`, this.#name)
    this.#state = isWanted ? 'wanted' : 'body'
    return true
  }

  #readBody(): boolean {
    const at = this.#held.indexOf(this.#delimiter)
    if (at === -1) {
      if (this.#state === 'wanted') {
        if (this.#held.length > maxValueBytes + this.#delimiter.length) throw this.#tooLong()
      } else {
        // What could be the beginning of a delimiter stays.
        this.#pass(Math.max(0, this.#held.length - this.#delimiter.length + 1))
      }
      return false
    }
    const behind = at + this.#delimiter.length
    if (this.#held.length < behind + 2) return false
    if (this.#state === 'wanted') {
      if (at > maxValueBytes) throw this.#tooLong()
      const start = this.#offset
      this.#found = { start, end: start + at, value: this.#held.toString('utf8', 0, at) }
    }
    const isLast = this.#held[behind] === 0x2d && this.#held[behind + 1] === 0x2d
    this.#pass(behind)
    if (++this.#parts > maxParts) throw badRequest('The form has too many parts')
    this.#state = isLast ? 'over' : 'headers'
    return !isLast
  }

  #tooLong(): Error {
    return badRequest(`'${this.#name}' is too long`, this.#name)
  }

  #pass(bytes: number): void {
    this.#held = this.#held.subarray(bytes)
    this.#offset += bytes
  }
}
