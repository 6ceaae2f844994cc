import type { UpstreamHeaders } from '../../sdk/transport.ts'

export function isSuccess(status: number): boolean {
  return status >= 200 && status < 300
}

export function isJson(headers: UpstreamHeaders): boolean {
  return mediaTypeOf(headers).startsWith('application/json')
}

/** Whether the answer is a stream of server-sent events. */
export function isEventStream(headers: UpstreamHeaders): boolean {
  return mediaTypeOf(headers).startsWith('text/event-stream')
}

/** Why a response with status 2xx is invalid: HTML comes from proxies and captive portals, never from a model. */
export function foreignAnswer(headers: UpstreamHeaders): { type: string; encoding: unknown } | undefined {
  const type = mediaTypeOf(headers)
  const encoding = headers['content-encoding'] ?? 'identity'
  return encoding === 'identity' && !type.startsWith('text/html') ? undefined : { type, encoding }
}

/** Whether a response declares its end, so that truncation can be detected (RFC 9112, section 6.3). */
export function isFramed(headers: UpstreamHeaders): boolean {
  return headers['transfer-encoding'] !== undefined || headers['content-length'] !== undefined
}

function mediaTypeOf(headers: UpstreamHeaders): string {
  return String(headers['content-type'] ?? '')
}

const maxExamined = 1_024

const loadingText = /\bloading (?:the )?model\b|\bmodel is (?:still |currently )?(?:loading|being loaded)\b/i

/** Whether a server reports that its model is still loading, as llama.cpp does with 503 and `Loading model`. */
export function isLoadingAnswer(status: number, text: string): boolean {
  return status === 503 && loadingText.test(text)
}

/**
 * Whether a 429 compares the size of the request itself with the limit: waiting does not help, but smaller
 * requests succeed. Groq and OpenAI: "Request too large for model ...: Limit 6000, Requested 7214".
 */
export function isTooLargeForLimit(text: string | undefined): boolean {
  if (text === undefined) return false
  const examined = text.slice(0, 2 * maxExamined)
  if (/\b(?:request|prompt|input|message)s? (?:is |are |was )?too (?:large|long|big)\b/i.test(examined))
    return true
  const limit = numberAfter(examined, /\b(?:limit|maximum|max)\b\D{0,24}([\d,_]{1,15})/i)
  const requested = numberAfter(
    examined,
    /\b(?:requested|request of|your request (?:has|contains|needs))\D{0,24}([\d,_]{1,15})/i,
  )
  return limit !== undefined && requested !== undefined && requested > limit
}

function numberAfter(text: string, pattern: RegExp): number | undefined {
  const digits = pattern.exec(text)?.[1]?.replace(/[,_]/g, '')
  return digits ? Number(digits) : undefined
}
