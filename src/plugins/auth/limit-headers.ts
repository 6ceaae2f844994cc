import type { KeyLimits } from '../../sdk/client-key.ts'
import type { LimitVerdict } from '../../sdk/limit-store.ts'

/**
 * What is left of a key's limits, in the words of a dialect. Sources: OpenAI API guides, "Rate limits"; Anthropic API
 * reference, "Rate limits"; for Ollama, which has none, draft-ietf-httpapi-ratelimit-headers-06.
 */
export function limitHeaders(
  dialect: string,
  { requests, tokens }: Pick<LimitVerdict, 'requests' | 'tokens'>,
  limits: KeyLimits,
): Record<string, string> {
  const rows = [
    { what: 'requests', most: limits.requests, now: requests },
    { what: 'tokens', most: limits.tokens, now: tokens },
  ]
  const headers: Record<string, string> = {}
  for (const { what, most, now } of rows) {
    if (most === undefined || !now) continue
    for (const [name, value] of namesOf(dialect, what, most, now)) headers[name] ??= value
  }
  return headers
}

function namesOf(
  dialect: string,
  what: string,
  most: number,
  { left, fullInMs }: { left: number; fullInMs: number },
): [string, string][] {
  const seconds = Math.max(0, Math.ceil(fullInMs / 1000))
  if (dialect === 'anthropic') {
    const reset = new Date(Date.now() + seconds * 1000).toISOString().replace(/\.\d+Z$/, 'Z')
    const head = `anthropic-ratelimit-${what}`
    return [
      [`${head}-limit`, String(most)],
      [`${head}-remaining`, String(left)],
      [`${head}-reset`, reset],
    ]
  }
  if (dialect === 'ollama') {
    return [
      ['ratelimit-limit', String(most)],
      ['ratelimit-remaining', String(left)],
      ['ratelimit-reset', String(seconds)],
    ]
  }
  return [
    [`x-ratelimit-limit-${what}`, String(most)],
    [`x-ratelimit-remaining-${what}`, String(left)],
    [`x-ratelimit-reset-${what}`, `${seconds}s`],
  ]
}
