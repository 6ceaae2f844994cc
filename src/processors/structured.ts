import { isObject } from '../lib/json/read.ts'
import type { ShapedKind } from '../sdk/masked-kinds.ts'

/** Whether a request in any dialect asks for an answer in JSON. */
export function asksForJson(body: Readonly<Record<string, unknown>>): boolean {
  const {
    response_format: openai,
    responseFormat: own,
    format,
    text,
    output_format: older,
    output_config: output,
  } = body
  const gemini = body.generationConfig ?? body.generation_config
  if (isJsonFormat(openai) || isJsonFormat(own) || isJsonFormat(older)) return true
  // Ollama's: "json" or a schema.
  if (format === 'json' || isObject(format)) return true
  if (isObject(text) && isJsonFormat(text.format)) return true
  if (isObject(output) && isJsonFormat(output.format)) return true
  if (!isObject(gemini)) return false
  const type = gemini.responseMimeType ?? gemini.response_mime_type
  return typeof type === 'string' && type.includes('json')
}

function isJsonFormat(format: unknown): boolean {
  return isObject(format) && typeof format.type === 'string' && /json|schema/.test(format.type)
}

const formats: Readonly<Record<string, ShapedKind>> = {
  email: 'EMAIL',
  'idn-email': 'EMAIL',
  uri: 'URL',
  url: 'URL',
  iri: 'URL',
  'uri-reference': 'URL',
  ipv4: 'IP',
  ipv6: 'IP',
  ip: 'IP',
  phone: 'PHONE',
  tel: 'PHONE',
  'phone-number': 'PHONE',
}
const formatMember = /"format"\s*:\s*"([a-z0-9-]{2,13})"/g

/** Kinds for whose values a schema in the body asks for a format, which a pseudonym must then have. */
export function requestedFormats(body: string): ReadonlySet<string> {
  const requested = new Set<string>()
  if (!body.includes('"format"')) return requested
  for (const [, format = ''] of body.matchAll(formatMember)) {
    const kind = Object.hasOwn(formats, format) ? formats[format] : undefined
    if (kind !== undefined) requested.add(kind)
  }
  return requested
}
