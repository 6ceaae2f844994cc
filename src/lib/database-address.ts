import { resolve } from 'node:path'

/** Parsed LLM_ROUTER_DATABASE_URL. */
export type DatabaseAddress =
  | { readonly kind: 'sqlite'; readonly path: string }
  | { readonly kind: 'postgres'; readonly url: string }

/** Allowed forms of a database URL, for error messages. */
export const allowedDatabaseAddress =
  'a database address: sqlite:PATH, such as sqlite:/var/lib/llm-router/router.db, or postgres://user:password@host:5432/database'

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
  return new URL(text).hostname === '' ? undefined : { kind: 'postgres', url: text }
}
