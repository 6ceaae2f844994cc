/** The `Authorization` header of RFC 6750 that every server of this family reads; none when there is no key. */
export function bearerHeaders(token: string | undefined): Record<string, string> {
  return token ? { authorization: `Bearer ${token}` } : {}
}
