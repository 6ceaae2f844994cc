import { BlockList, isIP } from 'node:net'

/** Whether a host is this machine or in a private network: by its address, or by a name without a public domain. */
export function isPrivateHost(host: string): boolean {
  const bare = host.replace(/^\[|\]$/g, '')
  if (isIP(bare) === 0)
    return !bare.includes('.') || /\.(?:local|internal|localhost|svc|lan|home\.arpa)$/.test(bare)
  return privateNetworks.check(bare, isIP(bare) === 6 ? 'ipv6' : 'ipv4')
}

const privateNetworks = ((): BlockList => {
  const list = new BlockList()
  for (const [network, prefix] of [
    ['10.0.0.0', 8],
    ['127.0.0.0', 8],
    ['172.16.0.0', 12],
    ['192.168.0.0', 16],
    ['100.64.0.0', 10],
  ] as const)
    list.addSubnet(network, prefix, 'ipv4')
  list.addAddress('::1', 'ipv6')
  list.addSubnet('fc00::', 7, 'ipv6')
  return list
})()
