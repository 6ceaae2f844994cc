import { BlockList, isIP } from 'node:net'

/** Whether an address is on this machine or in a private network: one of those, or a name without a public domain. */
export function isOwnAddress(url: string): boolean {
  const host = hostOf(url)
  if (isIP(host) === 0)
    return !host.includes('.') || /\.(?:local|internal|localhost|svc|lan|home\.arpa)$/.test(host)
  return privateNetworks.check(host, isIP(host) === 6 ? 'ipv6' : 'ipv4')
}

export function hostOf(url: string): string {
  return new URL(url).hostname.replace(/^\[|\]$/g, '')
}

const privateNetworks = new BlockList()
for (const [network, prefix] of [
  ['10.0.0.0', 8],
  ['127.0.0.0', 8],
  ['172.16.0.0', 12],
  ['192.168.0.0', 16],
  ['100.64.0.0', 10],
] as const)
  privateNetworks.addSubnet(network, prefix, 'ipv4')
privateNetworks.addAddress('::1', 'ipv6')
privateNetworks.addSubnet('fc00::', 7, 'ipv6')
