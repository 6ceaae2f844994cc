import { BlockList, isIP } from 'node:net'
import type { ReadText } from './settings/text.ts'
import { readList } from './settings/text.ts'

/** Parses a comma-separated list of addresses and networks in CIDR notation (RFC 4632); undefined if an item is neither. */
export const readNetworks: ReadText<string[]> = (text) => {
  const networks = readList(text) ?? []
  return networks.every(isNetwork) ? networks : undefined
}

/** Returns a function that checks whether an address is in one of the networks, as parsed by {@link readNetworks}. */
export function inNetworks(networks: readonly string[]): (address: string) => boolean {
  const list = new BlockList()
  for (const network of networks) {
    const { address, bits } = partsOf(network)
    list.addSubnet(address, bits, familyOf(address))
  }
  return (address) => isIP(address) !== 0 && list.check(address, familyOf(address))
}

export function isNetwork(text: string): boolean {
  if (!/^[^/]+(?:\/\d{1,3})?$/.test(text)) return false
  const { address, bits } = partsOf(text)
  const family = isIP(address)
  return family !== 0 && !address.includes('%') && bits <= widthOf(family)
}

function partsOf(network: string): { address: string; bits: number } {
  const [address = '', bits] = network.split('/')
  return { address, bits: bits === undefined ? widthOf(isIP(address)) : Number(bits) }
}

function widthOf(family: number): number {
  return family === 4 ? 32 : 128
}

function familyOf(address: string): 'ipv4' | 'ipv6' {
  return isIP(address) === 4 ? 'ipv4' : 'ipv6'
}
