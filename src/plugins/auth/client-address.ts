import { isIP } from 'node:net'
import type { FastifyRequest } from 'fastify'
import { inNetworks } from '../../config/networks.ts'

/** Fastify's `trustProxy`: whether the proxy with this address may speak for its clients; some add a port to addresses. */
export function trustProxy(networks: readonly string[]): (address: string) => boolean {
  const isTrusted = inNetworks(networks)
  return (address) => isTrusted(plainAddress(address) ?? '')
}

/**
 * The address that a request came from: the first from the right of `X-Forwarded-For` that no trusted proxy has. Where a proxy
 * wrote something else there, the address of that proxy.
 */
export function clientAddress({ ip, ips = [ip] }: Pick<FastifyRequest, 'ip' | 'ips'>): string {
  return ips.map((address) => plainAddress(address)).findLast((address) => address !== undefined) ?? ''
}

/** What attempts are counted by: an IPv6 client has a whole /64 to choose its address from (RFC 6177). */
export function addressBlock(address: string): string {
  if (isIP(address) !== 6) return address
  const [head = '', tail] = address.split('::')
  const first = head === '' ? [] : head.split(':')
  const last = tail === undefined || tail === '' ? [] : tail.split(':')
  // An IPv4 form at the end stands for two groups.
  const missing = 8 - first.length - last.length - (address.includes('.') ? 1 : 0)
  const groups =
    tail === undefined ? first : [...first, ...Array<string>(Math.max(0, missing)).fill('0'), ...last]
  return groups
    .slice(0, 4)
    .map((group) => Number.parseInt(group, 16).toString(16))
    .join(':')
}

/** Without a port, brackets, zone and the IPv6 form of an IPv4 address; undefined for what is no address, as that of a closed socket. */
function plainAddress(text = ''): string | undefined {
  const [, bracketed, portless] = /^\[([^\]]*)\](?::\d+)?$|^(\d+\.\d+\.\d+\.\d+):\d+$/.exec(text) ?? []
  const address = (bracketed ?? portless ?? text).replace(/%.*$/, '').toLowerCase()
  if (isIP(address) === 0) return undefined
  const mapped = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/.exec(address)?.[1]
  return mapped !== undefined && isIP(mapped) === 4 ? mapped : address
}
