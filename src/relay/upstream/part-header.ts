import { isUtf8 } from 'node:buffer'
import { badRequest } from '../../sdk/errors.ts'

/** What the header of one part of a form says, as far as it goes on to an upstream. */
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
/** Those that leave a body as it is. Go decodes `quoted-printable` by itself, others `base64`. */
const identityEncodings = ['binary', '8bit', '7bit']

/**
 * Reads the header block of a part, without the blank line that ends it. Parsers of forms disagree about everything but
 * the plain form: `form-data; name="..."; filename="..."`, each parameter once, on one line. Throws `bad_request` for
 * anything else, as an upstream could read another name in it. RFC 7578, section 4.2; RFC 2183.
 */
export function readPartHeader(block: Buffer): PartHeader {
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

/** The parameters of a header's value, from `from` on; undefined where it is not well formed or names one twice. */
export function readParameters(text: string, from: number): ReadonlyMap<string, string> | undefined {
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
    // biome-ignore lint/suspicious/noControlCharactersInRegex: refusing them is the point
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
 * A backslash in front of the closing quote escapes it for some parsers and not for others; some split at semicolons,
 * also inside of quotes.
 */
function isAmbiguous(value: string): boolean {
  return value.endsWith('\\') || /;\s*(?:file)?name[\s*\d]*=/i.test(value)
}

function malformed(what: string): Error {
  return badRequest(`The header of a part of the form ${what}`)
}
