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

/** Why a good answer cannot be one: a page is what proxies and captive portals answer, never a model. */
export function foreignAnswer(headers: UpstreamHeaders): { type: string; encoding: unknown } | undefined {
  const type = mediaTypeOf(headers)
  const encoding = headers['content-encoding'] ?? 'identity'
  return encoding === 'identity' && !type.startsWith('text/html') ? undefined : { type, encoding }
}

/** Whether an answer says where it ends, so that one which was cut shows (RFC 9112, section 6.3). */
export function isFramed(headers: UpstreamHeaders): boolean {
  return headers['transfer-encoding'] !== undefined || headers['content-length'] !== undefined
}

function mediaTypeOf(headers: UpstreamHeaders): string {
  return String(headers['content-type'] ?? '')
}
