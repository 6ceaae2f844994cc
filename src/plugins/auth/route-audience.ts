import type { Role } from '../../sdk/client-key.ts'

/** The parts of a route's configuration that decide who may use it. */
interface RouteAudience {
  role?: Role | undefined
  admin?: boolean | undefined
  surface?: string | undefined
  dialect?: string | undefined
  dialectOf?: unknown
  page?: boolean | undefined
}

/** Role required by an operator route: the lowest one for reading. */
export function neededRole(method: string, route: RouteAudience | undefined): Role {
  return isSafe(method) ? 'viewer' : (route?.role ?? 'operator')
}

/** Methods without side effects: RFC 9110, section 9.2.1. */
const safeMethods = new Set(['GET', 'HEAD', 'OPTIONS', 'TRACE'])

export function isSafe(method: string): boolean {
  return safeMethods.has(method.toUpperCase())
}

/**
 * Whether a route changes the router, or names a role, and therefore requires an operator key, on every port and even
 * without client keys. A route that declares no audience, such as one of an extension, counts as one: it needs a surface or a
 * dialect to be open to clients.
 */
export function needsOperatorKey(method: string, route: RouteAudience | undefined): boolean {
  return isForOperators(route) && (!isSafe(method) || route?.role !== undefined)
}

/** Whether a route is for operators, as is any route without a declared audience. */
export function isForOperators(route: RouteAudience | undefined): boolean {
  if (route?.admin || route?.surface === 'operator') return true
  return route?.surface === undefined && route?.dialect === undefined && route?.dialectOf === undefined
}

/** Whether it is opened in a browser, so that a session is accepted. */
export function isForPeople(route: RouteAudience | undefined): boolean {
  return route?.page === true || isForOperators(route)
}
