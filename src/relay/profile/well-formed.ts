import type { Drop } from '../../sdk/dialect.ts'

/**
 * JSON without half surrogate pairs, which strict readers (serde_json) refuse as a whole: U+FFFD stands for each. JSON.stringify
 * writes them, and nothing else of that range, as escapes (ECMA-262, well-formed JSON.stringify).
 */
export function wellFormed(json: string, drop: Drop | undefined): string {
  if (!json.includes('\\ud')) return json
  const fixed = json.replaceAll(/\\(?:u(d[89a-f][0-9a-f]{2})|.)/g, (whole, half?: string) =>
    half === undefined ? whole : '\ufffd',
  )
  if (fixed !== json) drop?.('messages.content', 'an unpaired surrogate is not a character; U+FFFD was sent')
  return fixed
}
