import { createHash } from 'node:crypto'
import { isObject } from '../../../lib/json/read.ts'
import { type Role, roles } from '../../../sdk/client-key.ts'

/** The claim of this name; dots select nested members unless a claim has the whole name. */
export function claimOf(claims: Readonly<Record<string, unknown>>, name: string): unknown {
  if (Object.hasOwn(claims, name)) return claims[name]
  let value: unknown = claims
  for (const part of name.split('.'))
    value = isObject(value) && Object.hasOwn(value, part) ? value[part] : undefined
  return value
}

/** The highest role among the claim's values. `map`: entries such as `llm-admins=admin`. */
export function roleOfClaim(claim: unknown, map: readonly string[]): Role | undefined {
  const held = new Set(
    typeof claim === 'string' ? [claim, ...claim.split(' ')] : Array.isArray(claim) ? claim : [],
  )
  const given = map.flatMap((entry) => {
    const at = entry.lastIndexOf('=')
    return held.has(entry.slice(0, at)) ? [entry.slice(at + 1)] : []
  })
  return roles.findLast((role) => given.includes(role))
}

/** Id in the log and audit log. The colon distinguishes it from client ids. */
export function nameOfUser({ sub, email, email_verified }: Readonly<Record<string, unknown>>): string {
  const name = email_verified === true && typeof email === 'string' ? email : String(sub)
  if (/^[\w.@+|-]{1,128}$/.test(name)) return `oidc:${name}`
  return `oidc:${createHash('sha256').update(String(sub)).digest('hex').slice(0, 32)}`
}
