import type { FastifyReply, FastifyRequest } from 'fastify'

export interface CookieOptions {
  sameSite: 'Strict' | 'Lax'
  maxAgeSeconds: number
}

/** A cookie that scripts and other sites cannot access. */
export interface Cookie {
  read(request: FastifyRequest): string | undefined
  write(request: FastifyRequest, reply: FastifyReply, value: string, maxAgeSeconds: number): void
  remove(request: FastifyRequest, reply: FastifyReply): void
}

/**
 * A cookie whose name begins with `__Host-` if the browser uses HTTPS: no other host of the domain, and nobody
 * on an unencrypted connection, can have set it (RFC 6265bis, section 4.1.3.2).
 */
export function cookie(
  name: string,
  sameSite: CookieOptions['sameSite'],
  isSecure: (request: FastifyRequest) => boolean,
): Cookie {
  const nameFor = (request: FastifyRequest): string => (isSecure(request) ? `__Host-${name}` : name)
  const write: Cookie['write'] = (request, reply, value, maxAgeSeconds) => {
    const secure = isSecure(request) ? '; Secure' : ''
    reply.header(
      'set-cookie',
      `${nameFor(request)}=${value}; Path=/; Max-Age=${maxAgeSeconds}; HttpOnly; SameSite=${sameSite}${secure}`,
    )
  }
  return {
    read: (request) => onlyValue(request.headers.cookie, nameFor(request)),
    write,
    remove: (request, reply) => write(request, reply, '', 0),
  }
}

/** RFC 6265, section 4.2. A duplicate cookie is ignored, because its origin is unknown. */
function onlyValue(header: string | undefined, name: string): string | undefined {
  const values = (header ?? '').split(';').flatMap((pair) => {
    const at = pair.indexOf('=')
    return at !== -1 && pair.slice(0, at).trim() === name ? [pair.slice(at + 1).trim()] : []
  })
  return values.length === 1 && values[0] !== '' ? values[0] : undefined
}
