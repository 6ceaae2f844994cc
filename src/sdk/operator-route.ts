/** What a route says of itself, as far as it tells whom the route is for. */
interface RouteAudience {
  admin?: boolean | undefined
  surface?: string | undefined
  dialect?: string | undefined
  dialectOf?: unknown
}

/** They change nothing. RFC 9110, section 9.2.1. */
const safeMethods = new Set(['GET', 'HEAD', 'OPTIONS', 'TRACE'])

/**
 * Whether a route changes the router and so needs an operator key, on every port and with client keys off too. A route that
 * does not say whom it is for, such as one of an extension, counts as one: it has to name a surface or a dialect to be for
 * clients.
 */
export function needsOperatorKey(method: string, route: RouteAudience | undefined): boolean {
  if (safeMethods.has(method.toUpperCase())) return false
  if (route?.admin || route?.surface === 'operator') return true
  return route?.surface === undefined && route?.dialect === undefined && route?.dialectOf === undefined
}
