import { resolve } from 'node:path'

/** Parsed LLM_ROUTER_DATABASE_URL. */
export type DatabaseAddress =
  | { readonly kind: 'sqlite'; readonly path: string }
  | { readonly kind: 'postgres'; readonly url: string }

/** Allowed forms of a database URL, for error messages. */
export const allowedDatabaseAddress =
  'a database address: sqlite:PATH, such as sqlite:/var/lib/llm-router/router.db, or postgres://user:password@host:5432/database'

/** All but `disable` verify the certificate and its name: unlike in libpq, verification cannot be switched off. */
const tlsModes = ['disable', 'require', 'verify-ca', 'verify-full']

/**
 * Parses `sqlite:PATH`, relative to the working directory, or a PostgreSQL connection URI (libpq, "Connection URIs"). Returns
 * undefined for anything else.
 */
export function databaseAddress(text: string): DatabaseAddress | undefined {
  if (text.startsWith('sqlite:')) {
    const path = text.slice('sqlite:'.length).replace(/^\/\/(?=\/)/, '')
    return path === '' || path.startsWith('//') ? undefined : { kind: 'sqlite', path: resolve(path) }
  }
  if (!/^postgres(?:ql)?:\/\/./.test(text) || !URL.canParse(text)) return undefined
  const url = new URL(text)
  if (url.hostname === '') return undefined
  // The driver treats these modes alike, with a warning on stderr for all but one.
  const mode = url.searchParams.get('sslmode') ?? 'disable'
  if (mode !== 'disable' && tlsModes.includes(mode)) url.searchParams.set('sslmode', 'verify-full')
  return { kind: 'postgres', url: url.href }
}

/** Returns what is wrong with a database URL; undefined if it is valid. Never contains the URL, which may have a password. */
export function databaseAddressError(text: string): string | undefined {
  const address = databaseAddress(text)
  if (!address) return `the value is not ${allowedDatabaseAddress}`
  if (address.kind === 'sqlite') return undefined
  const { searchParams } = new URL(text)
  const mode = searchParams.get('sslmode')
  if (mode !== null && !tlsModes.includes(mode))
    return `sslmode is not one of ${tlsModes.join(', ')}; all but disable verify the certificate of the database`
  // Parameters of the driver that would also disable verification.
  const other = searchParams.has('uselibpqcompat') ? 'uselibpqcompat' : 'ssl'
  if (searchParams.has(other)) return `${other} is not supported; use sslmode`
  return undefined
}
