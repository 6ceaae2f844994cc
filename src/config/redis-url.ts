/** Parsed `LLM_ROUTER_REDIS_URL`. */
export interface RedisUrl {
  /** One server, the seed nodes of a cluster, or the Sentinels that know the master. */
  readonly kind: 'server' | 'cluster' | 'sentinel'
  readonly hosts: readonly { readonly host: string; readonly port: number }[]
  readonly tls: boolean
  /** Credentials for Redis, not for the Sentinels. */
  readonly username?: string
  readonly password?: string
  readonly db?: number
  /** Name under which Sentinels know the master. */
  readonly master?: string
}

const form = /^(rediss?)(\+cluster|\+sentinel)?:\/\/(?:([^/?#@]*)@)?([^/?#@]*)(?:\/([^?#]*))?$/
const hostForm = /^(?:\[([0-9A-Fa-f:.]+)\]|([A-Za-z0-9._-]+))(?::([0-9]{1,5}))?$/
const defaultPort = { server: 6379, cluster: 6379, sentinel: 26379 }
const maxPort = 65_535
const maxDb = 65_535

/**
 * Parses a Redis URL. Several hosts after `redis://` or `rediss://` are nodes of a cluster. Errors contain no part of the URL.
 */
export function parseRedisUrl(url: string): RedisUrl | { readonly error: string } {
  const [, scheme, suffix, credentials, hostList = '', path] = form.exec(url) ?? []
  if (scheme === undefined)
    return { error: 'is not a Redis address; percent-encode / ? # @ and : within user and password' }
  const names = hostList.split(',')
  const kind =
    suffix === '+sentinel' ? 'sentinel' : suffix === '+cluster' || names.length > 1 ? 'cluster' : 'server'
  const hosts: { host: string; port: number }[] = []
  for (const [index, name] of names.entries()) {
    const host = hostOf(name, defaultPort[kind])
    if (!host)
      return { error: `host ${index + 1} is not a name or an address with a port from 1 to ${maxPort}` }
    hosts.push(host)
  }
  const secrets = credentialsOf(credentials)
  if (!secrets) return { error: 'user and password are not percent-encoded correctly' }
  const rest = pathOf(kind, path)
  if ('error' in rest) return rest
  return { kind, hosts, tls: scheme === 'rediss', ...secrets, ...rest }
}

function hostOf(text: string, preset: number): { host: string; port: number } | undefined {
  const [, address, name, port] = hostForm.exec(text) ?? []
  const host = address ?? name
  const number = Number(port ?? preset)
  return host !== undefined && number >= 1 && number <= maxPort ? { host, port: number } : undefined
}

function credentialsOf(text = ''): Pick<RedisUrl, 'username' | 'password'> | undefined {
  const [username = '', ...rest] = text.split(':')
  try {
    const password = decodeURIComponent(rest.join(':'))
    return {
      ...(username === '' ? {} : { username: decodeURIComponent(username) }),
      ...(password === '' ? {} : { password }),
    }
  } catch {
    return undefined
  }
}

function pathOf(kind: RedisUrl['kind'], path = ''): Pick<RedisUrl, 'db' | 'master'> | { error: string } {
  const [first = '', second = '', ...more] = path.split('/')
  const master = kind === 'sentinel' ? first : undefined
  if (master === '')
    return { error: 'lacks the name of the master: redis+sentinel://host1:26379,host2:26379/mymaster' }
  const [number, ...others] = kind === 'sentinel' ? [second, ...more] : [first, second, ...more]
  const db = number === undefined || number === '' ? undefined : Number(number)
  if (
    others.some((part) => part !== '') ||
    (db !== undefined && !(Number.isInteger(db) && db >= 0 && db <= maxDb))
  )
    return { error: `the database is not a number from 0 to ${maxDb}` }
  if (kind === 'cluster' && db !== undefined && db > 0) return { error: 'a cluster only has database 0' }
  return { ...(master === undefined ? {} : { master }), ...(db === undefined ? {} : { db }) }
}
