import { isIP } from 'node:net'

/**
 * The address that a request came from. What the client's own side wrote into `X-Forwarded-For` can say anything, so of its
 * list only what trusted proxies added counts: from the right, the first address that is none of theirs.
 * Source: MDN, "X-Forwarded-For", section "Selecting an IP address".
 *
 * @param peer Address at the other end of the socket.
 * @param forwardedFor The header, several lines joined by commas.
 * @param isTrusted Whether a proxy with this address may speak for its clients.
 */
export function clientAddress(
  peer: string,
  forwardedFor: string | undefined,
  isTrusted: (address: string) => boolean,
): string {
  let address = plainAddress(peer) ?? peer
  if (forwardedFor === undefined) return address
  for (const hop of forwardedFor.split(',').toReversed()) {
    if (!isTrusted(address)) break
    const before = plainAddress(hop.trim())
    if (before === undefined) break // a proxy hid it; more than the proxy is not known
    address = before
  }
  return address
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

/** Without a port, brackets, zone and the IPv6 form of an IPv4 address; undefined for what is no address. */
function plainAddress(text: string): string | undefined {
  const [, bracketed, portless] = /^\[([^\]]*)\](?::\d+)?$|^(\d+\.\d+\.\d+\.\d+):\d+$/.exec(text) ?? []
  const address = (bracketed ?? portless ?? text).replace(/%.*$/, '').toLowerCase()
  if (isIP(address) === 0) return undefined
  const mapped = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/.exec(address)?.[1]
  return mapped !== undefined && isIP(mapped) === 4 ? mapped : address
}
