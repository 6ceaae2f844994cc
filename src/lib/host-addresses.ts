import { BlockList, isIP } from 'node:net'

/**
 * Whether an address is link-local or that of a cloud metadata service. These serve no models, but are targets of server-side
 * request forgery. `address`: IPv4 or IPv6 in any notation that Node accepts, with or without a zone; false for anything else.
 */
export function isLinkLocalOrMetadata(address: string): boolean {
  const [bare = ''] = address.split('%') // a zone (RFC 4007, section 11) only selects the network interface
  const version = isIP(bare)
  return version !== 0 && blocked.check(bare, version === 4 ? 'ipv4' : 'ipv6')
}

/**
 * Sources, the services' documentation: AWS EC2 "Instance metadata" (169.254.169.254, fd00:ec2::254) and ECS, EKS
 * (169.254.170.2, 169.254.170.23, fd00:ec2::23), Google Cloud "VM metadata" (fd20:ce::254), Alibaba Cloud "Instance
 * metadata" (100.100.100.200), Azure "IP address 168.63.129.16", Oracle Cloud and OpenStack (192.0.0.192), Scaleway
 * (fd00:42::42). Link-local: RFC 3927 and RFC 4291, section 2.5.6. IPv4 embedded in IPv6: BlockList handles mapped addresses
 * itself; NAT64 is RFC 6052, 6to4 is RFC 3056.
 */
const blocked = ((): BlockList => {
  const list = new BlockList()
  list.addSubnet('169.254.0.0', 16)
  list.addSubnet('64:ff9b::a9fe:0', 112, 'ipv6')
  list.addSubnet('2002:a9fe::', 32, 'ipv6')
  list.addSubnet('fe80::', 10, 'ipv6')
  for (const [address, nat64] of [
    ['100.100.100.200', '64:ff9b::6464:64c8'],
    ['168.63.129.16', '64:ff9b::a83f:8110'],
    ['192.0.0.192', '64:ff9b::c000:c0'],
  ] as const) {
    list.addAddress(address)
    list.addAddress(nat64, 'ipv6')
  }
  for (const address of ['fd00:ec2::254', 'fd00:ec2::23', 'fd20:ce::254', 'fd00:42::42'])
    list.addAddress(address, 'ipv6')
  return list
})()

/** Whether a host is this machine or in a private network: by its address, or by a name without a public domain. */
export function isPrivateHost(host: string): boolean {
  const bare = withoutBrackets(host)
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

/** Removes the brackets that enclose an IPv6 address in a URL (RFC 3986, section 3.2.2). */
export function withoutBrackets(host: string): string {
  return host.replace(/^\[|\]$/g, '')
}
