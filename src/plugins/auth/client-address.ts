import { isIP } from 'node:net'
import type { FastifyRequest } from 'fastify'
import { inNetworks } from '../../config/networks.ts'

/**
 * Fastify's `trustProxy` function: whether the proxy at this address may set `X-Forwarded-For`. Some proxies append a
 * port to addresses.
 */
export function trustProxy(networks: readonly string[]): (address: string) => boolean {
  const isTrusted = inNetworks(networks)
  return (address) => isTrusted(plainAddress(address) ?? '')
}

/**
 * Address of the client: the rightmost entry of `X-Forwarded-For` that is not a trusted proxy. Falls back to the
 * address of the proxy that wrote an invalid entry.
 */
export function clientAddress(request: Pick<FastifyRequest, 'ip' | 'ips'>): string {
  const addresses = request.ips ?? [request.ip]
  return addresses.map((address) => plainAddress(address)).findLast((address) => address !== undefined) ?? ''
}

/**
 * Key by which login attempts are counted. An IPv6 client can pick any address in its /64 (RFC 6177), so a whole /64
 * counts as one.
 */
export function addressBlock(address: string): string {
  if (isIP(address) !== 6) return address
  const [head = '', tail] = address.split('::')
  const first = head === '' ? [] : head.split(':')
  const last = tail === undefined || tail === '' ? [] : tail.split(':')
  // A trailing IPv4 form takes two groups.
  const missing = 8 - first.length - last.length - (address.includes('.') ? 1 : 0)
  const groups =
    tail === undefined ? first : [...first, ...Array<string>(Math.max(0, missing)).fill('0'), ...last]
  return groups
    .slice(0, 4)
    .map((group) => Number.parseInt(group, 16).toString(16))
    .join(':')
}

/**
 * Strips port, brackets, zone and the IPv4-mapped prefix. Undefined for anything but an address, such as that of a
 * closed socket.
 */
function plainAddress(text = ''): string | undefined {
  if (isIP(text) === 4) return text
  const [, bracketed, portless] = /^\[([^\]]*)\](?::\d+)?$|^(\d+\.\d+\.\d+\.\d+):\d+$/.exec(text) ?? []
  const address = (bracketed ?? portless ?? text).replace(/%.*$/, '').toLowerCase()
  if (isIP(address) === 0) return undefined
  const mapped = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/.exec(address)?.[1]
  return mapped !== undefined && isIP(mapped) === 4 ? mapped : address
}
