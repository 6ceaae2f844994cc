import type { Drop } from '../../sdk/write-options.ts'

/**
 * JSON without lone surrogates, which strict parsers (serde_json) reject: U+FFFD replaces each. JSON.stringify
 * writes them, and nothing else in that range, as escapes (ECMA-262, well-formed JSON.stringify).
 */
export function wellFormed(json: string, drop: Drop | undefined): string {
  if (!json.includes('\\ud')) return json
  const fixed = json.replaceAll(/\\(?:u(d[89a-f][0-9a-f]{2})|.)/g, (whole, half?: string) =>
    half === undefined ? whole : '\ufffd',
  )
  if (fixed !== json) drop?.('messages.content', 'an unpaired surrogate is not a character; U+FFFD was sent')
  return fixed
}
