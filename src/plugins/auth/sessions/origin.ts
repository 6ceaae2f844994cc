import type { FastifyRequest } from 'fastify'

/**
 * Whether a request comes from a page of this router: its `Origin` is the address used by the browser, or
 * LLM_ROUTER_PUBLIC_URL. Browsers omit `Origin` in same-origin reads; the equivalent is
 * `Sec-Fetch-Site`, or `Referer` without HTTPS.
 */
export function isFromOwnPage(request: FastifyRequest, publicUrl: string): boolean {
  const { origin, referer, 'sec-fetch-site': site } = request.headers
  if (origin !== undefined) return isOwn(origin, request, publicUrl)
  if (request.method !== 'GET') return false
  return site === undefined
    ? referer !== undefined && isOwn(referer, request, publicUrl)
    : site === 'same-origin'
}

/** Whether the browser uses HTTPS, directly or through a trusted proxy. */
export function isHttps(request: FastifyRequest, publicUrl: string): boolean {
  return (
    request.protocol === 'https' || (publicUrl.startsWith('https:') && hostOf(publicUrl) === request.host)
  )
}

function isOwn(address: string, { protocol, host }: FastifyRequest, publicUrl: string): boolean {
  const origin = originOf(address)
  const own = [`${protocol}://${host}`, publicUrl].map(originOf)
  return origin !== undefined && own.includes(origin)
}

function originOf(address: string): string | undefined {
  const url = URL.parse(address)
  return url && url.origin !== 'null' ? url.origin : undefined
}

function hostOf(address: string): string | undefined {
  return URL.parse(address)?.host
}
