import type { TSchema } from '@sinclair/typebox'
import type { Role } from '../../sdk/client-key.ts'
import type { EndpointDocs } from '../../sdk/endpoint-docs.ts'

/** A registered route with what its documentation needs. */
export interface DocumentedRoute {
  method: string
  /** Route pattern in Fastify's syntax. */
  url: string
  body: TSchema | undefined
  /** Decides the error format; `problem` for RFC 9457. */
  dialect: string
  /** For operators only. */
  admin: boolean
  /** The route changes the router and always requires an operator key. */
  operator: boolean
  /** Required role; undefined: none. */
  role?: Role | undefined
  docs: EndpointDocs
}

/** Default docs for a route that declares none, such as one of an extension. */
export function plainDocs(method: string, url: string): EndpointDocs {
  const id = `${method.toLowerCase()}${camelCase(url)}`
  const answers = [{ type: '*/*', description: 'The answer' }]
  return { id, tag: 'Extensions', summary: `${method} ${url}`, answers }
}

/** Converts `/api/v1/chat` to `ApiV1Chat`. */
export function camelCase(path: string): string {
  return path
    .split(/[^A-Za-z0-9]+/)
    .map((word) => word.charAt(0).toUpperCase() + word.slice(1))
    .join('')
}

/** The first path registered for each endpoint and method. Later paths are aliases. */
export function firstPaths(routes: readonly DocumentedRoute[]): Map<string, DocumentedRoute> {
  const first = new Map<string, DocumentedRoute>()
  for (const route of routes) {
    const key = endpointKey(route)
    if (!first.has(key)) first.set(key, route)
  }
  return first
}

/** Identifies an endpoint independently of its path. */
export function endpointKey({ method, docs }: DocumentedRoute): string {
  return `${method} ${docs.id}`
}

/**
 * Assigns each route an operationId that is unique and stable across restarts: the endpoint's id for its first path,
 * the id with the path appended for aliases.
 */
export function operationIds(routes: readonly DocumentedRoute[]): Map<DocumentedRoute, string> {
  const taken = new Set<string>()
  return new Map(
    routes.map((route) => {
      const { id } = route.docs
      const longer = `${id}At${camelCase(route.url)}`
      const choices = [id, longer, `${longer}By${camelCase(route.method.toLowerCase())}`]
      const operationId = choices.find((choice) => !taken.has(choice)) ?? `${choices[2]}${taken.size}`
      taken.add(operationId)
      return [route, operationId]
    }),
  )
}
