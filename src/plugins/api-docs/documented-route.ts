import type { TSchema } from '@sinclair/typebox'
import type { EndpointDocs } from '../../sdk/endpoint-docs.ts'

/** A route as it was registered, with what the documentation needs. */
export interface DocumentedRoute {
  method: string
  /** Fastify's pattern. */
  url: string
  body: TSchema | undefined
  /** The form of its errors. */
  dialect: string
  /** Only for those who run the router. */
  admin: boolean
  /** It changes the router and takes an operator key, whatever else is asked for. */
  operator: boolean
  docs: EndpointDocs
}

/** What can be told of a route that says nothing of itself; extensions may have such. */
export function plainDocs(method: string, url: string): EndpointDocs {
  const id = `${method.toLowerCase()}${camelCase(url)}`
  const answers = [{ type: '*/*', description: 'The answer' }]
  return { id, tag: 'Extensions', summary: `${method} ${url}`, answers }
}

/** `/api/v1/chat` as `ApiV1Chat`. */
export function camelCase(path: string): string {
  return path
    .split(/[^A-Za-z0-9]+/)
    .map((word) => word.charAt(0).toUpperCase() + word.slice(1))
    .join('')
}

/** The first path of each endpoint and method; the others say the same once more. */
export function firstPaths(routes: readonly DocumentedRoute[]): Map<string, DocumentedRoute> {
  const first = new Map<string, DocumentedRoute>()
  for (const route of routes) {
    const key = endpointKey(route)
    if (!first.has(key)) first.set(key, route)
  }
  return first
}

/** Tells one endpoint from another, whatever its path is. */
export function endpointKey({ method, docs }: DocumentedRoute): string {
  return `${method} ${docs.id}`
}

/**
 * An operationId for each route, unique and the same at every start: that of the endpoint for its first path, and with
 * the path behind it for the others.
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
