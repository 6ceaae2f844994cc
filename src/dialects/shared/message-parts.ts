import { isObject, type JsonObject, textOf } from '../../lib/json/read.ts'
import type { AudioPart, TextPart } from '../../sdk/chat.ts'
import { badRequest } from '../../sdk/errors.ts'

/** One text part; none for an empty text, which Anthropic and Gemini reject and other dialects do not need. */
export function textParts(text: string): TextPart[] {
  return text === '' ? [] : [{ type: 'text', text }]
}

/** The text of several parts, for dialects in which a message has a single text. */
export function joinTexts(parts: readonly { text: string }[]): string {
  return parts.map(({ text }) => text).join('\n')
}

/** Throws `bad_request` with `path` unless the value is a string. */
export function requiredText(value: unknown, path: string): string {
  const text = textOf(value)
  if (text === undefined) throw badRequest(`'${path}' must be a string`, path)
  return text
}

/** A longer part of unknown type is considered data, not text. In UTF-16 code units. */
const maxUnknownLength = 4_096

/**
 * A part of unknown type as text: its JSON, or its type if that is too long. New types appear every few months, and rejecting
 * one would end the conversation for good.
 */
export function unknownPartText(part: JsonObject): string {
  const json = JSON.stringify(part)
  return json.length > maxUnknownLength ? `[${textOf(part.type) ?? 'content'}]` : json
}

/** Reads an `input_audio` part of OpenAI's APIs. Throws `bad_request`. */
export function readAudioPart(audio: unknown, path: string): AudioPart {
  const { data, format } = isObject(audio) ? audio : {}
  return {
    type: 'audio',
    data: requiredText(data, `${path}.data`),
    format: requiredText(format, `${path}.format`),
  }
}
