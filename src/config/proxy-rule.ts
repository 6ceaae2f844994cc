import { BlockList, isIP } from 'node:net'
import { withoutBrackets } from '../lib/host-addresses.ts'
import { inNetworks, isNetwork } from './networks.ts'
import { hostError } from './targets/target-url.ts'

export interface ProxySettings {
  /** URL of the proxy for all servers without their own setting; empty: none. */
  upstreamProxy: string
  /** Hosts, domains, addresses, networks in CIDR form, or `*`. */
  upstreamNoProxy: readonly string[]
  allowLinkLocal: boolean
}

/** The proxy for the server at an address; undefined for a direct connection. */
export type ProxyRule = (origin: string) => string | undefined

/** Returns the rule for servers without their own proxy setting. */
export function proxyRule({ upstreamProxy, upstreamNoProxy }: ProxySettings): ProxyRule {
  if (upstreamProxy === '') return () => undefined
  const isExempt = exemption(upstreamNoProxy)
  return (origin) => {
    const { hostname, port, protocol } = new URL(origin)
    const host = withoutBrackets(hostname).replace(/\.$/, '')
    const isDirect = isLocalNetwork(host) || isExempt(host, port || (protocol === 'https:' ? '443' : '80'))
    return isDirect ? undefined : upstreamProxy
  }
}

/** Returns errors in the proxy settings, each with its variable. The URL is not shown, because it may contain a password. */
export function proxyErrors({ upstreamProxy, upstreamNoProxy, allowLinkLocal }: ProxySettings): string[] {
  const errors: string[] = []
  const error = upstreamProxy === '' ? undefined : proxyUrlError(upstreamProxy, allowLinkLocal)
  if (error !== undefined) errors.push(`LLM_ROUTER_UPSTREAM_PROXY: the value ${error}`)
  for (const entry of upstreamNoProxy)
    if (!isExemption(entry))
      errors.push(
        `LLM_ROUTER_UPSTREAM_NO_PROXY: ${JSON.stringify(entry)} is not a host, a domain, an address, a network or *`,
      )
  return errors
}

/** Returns why a text is not a valid proxy URL, as a predicate that does not quote the text; undefined if it is valid. */
export function proxyUrlError(text: string, allowLinkLocal = false): string | undefined {
  const url = URL.parse(text)
  if (!url || !/^https?:$/.test(url.protocol)) return 'is not the http:// or https:// address of a proxy'
  if (!/^\/?$/.test(url.pathname) || url.search !== '' || url.hash !== '')
    return 'has more than the address of a proxy; a proxy has no path'
  try {
    for (const part of [url.username, url.password]) decodeURIComponent(part)
  } catch {
    return 'has a user name or password with a % that is not followed by two hexadecimal digits'
  }
  return hostError(url.origin, allowLinkLocal)
}

/** Whether a host is a loopback, private or link-local address, or a name that is only valid in the local network. */
function isLocalNetwork(host: string): boolean {
  if (isIP(host) !== 0) return privateNetworks.check(host, isIP(host) === 4 ? 'ipv4' : 'ipv6')
  return !host.includes('.') || /\.(?:svc|local|localhost)$/.test(host)
}

/**
 * RFC 1918, RFC 6598 (shared address space), RFC 4193 (unique local), loopback and link-local; BlockList handles IPv4-mapped
 * IPv6.
 */
const privateNetworks = ((): BlockList => {
  const list = new BlockList()
  for (const [address, bits] of [
    ['0.0.0.0', 8],
    ['10.0.0.0', 8],
    ['100.64.0.0', 10],
    ['127.0.0.0', 8],
    ['169.254.0.0', 16],
    ['172.16.0.0', 12],
    ['192.168.0.0', 16],
  ] as const)
    list.addSubnet(address, bits)
  for (const [address, bits] of [
    ['::', 128],
    ['::1', 128],
    ['fc00::', 7],
    ['fe80::', 10],
  ] as const)
    list.addSubnet(address, bits, 'ipv6')
  return list
})()

type Exemption = (host: string, port: string) => boolean

/** As `NO_PROXY` in curl: a name matches itself and all its subdomains, with or without a leading dot. */
function exemption(entries: readonly string[]): Exemption {
  const list = entries.map((entry): Exemption => {
    if (entry === '*') return () => true
    if (isNetwork(entry)) return inNetworks([entry])
    const { name, port } = partsOf(entry)
    const domain = name.replace(/^\*?\./, '')
    return (host, hostPort) =>
      (port === undefined || port === hostPort) && (host === domain || host.endsWith(`.${domain}`))
  })
  return (host, port) => list.some((isExempt) => isExempt(host, port))
}

function isExemption(entry: string): boolean {
  if (entry === '*' || isNetwork(entry)) return true
  const { name } = partsOf(entry)
  // The pattern rejects invalid networks, which would otherwise be host names that never match.
  return isIP(name) !== 0 || /^(?:\*?\.)?[a-z0-9_](?:[a-z0-9_.-]*[a-z0-9_])?$/.test(name)
}

function partsOf(entry: string): { name: string; port: string | undefined } {
  const [, name = entry, port] = /^(\[.*\]|[^:]*):(\d{1,5})$/.exec(entry) ?? []
  return { name: withoutBrackets(name).toLowerCase(), port }
}
