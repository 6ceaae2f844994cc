import { BlockList, isIP } from 'node:net'

/**
 * Whether an address is link-local or a cloud metadata service: these serve no models, and
 * attackers want a gateway to call them. `address`: IPv4 or IPv6 in any spelling of Node's, with or without a zone;
 * anything else is none.
 */
export function isLinkLocalOrMetadata(address: string): boolean {
  const [bare = ''] = address.split('%') // a zone (RFC 4007, section 11) says by which interface, not where to
  const version = isIP(bare)
  return version !== 0 && refused.check(bare, version === 4 ? 'ipv4' : 'ipv6')
}

/**
 * The services' own documentation: AWS EC2 "Instance metadata" (169.254.169.254, fd00:ec2::254) and ECS, EKS
 * (169.254.170.2, 169.254.170.23, fd00:ec2::23), Google Cloud "VM metadata" (fd20:ce::254), Alibaba Cloud "Instance
 * metadata" (100.100.100.200), Azure "IP address 168.63.129.16", Oracle Cloud and OpenStack (192.0.0.192), Scaleway
 * (fd00:42::42). Link-local: RFC 3927 and RFC 4291, section 2.5.6. IPv4 inside of IPv6: mapped addresses are Node's
 * work, NAT64 is RFC 6052 and 6to4 RFC 3056.
 */
const refused = ((): BlockList => {
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
