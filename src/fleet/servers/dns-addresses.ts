import { lookup as systemLookup } from 'node:dns'
import { isIP } from 'node:net'
import { isLinkLocalOrMetadata } from '../../lib/link-local.ts'
import type { AllLookup } from '../../relay/upstream/checked-lookup.ts'

export interface DnsOptions {
  intervalMs: number
  allowLinkLocal: boolean
  /** Looks up all addresses of a name; `dns.lookup` unless given. */
  lookup?: AllLookup | undefined
}

/**
 * Looks up all addresses of a name, again and again. `onAddresses` gets each answer; undefined if there is none or no usable
 * address in it. Returns the function that ends it.
 */
export function followAddresses(
  hostname: string,
  { intervalMs, allowLinkLocal, lookup = systemLookup }: DnsOptions,
  onAddresses: (addresses: readonly string[] | undefined) => void,
): () => void {
  let timer: NodeJS.Timeout | undefined
  let stopped = false
  const host = hostname.replace(/^\[|\]$/g, '')
  if (isIP(host) !== 0) {
    onAddresses([host])
    return () => undefined
  }
  const look = (): void => {
    lookup(host, { all: true }, (error, found) => {
      if (stopped) return
      timer = setTimeout(look, intervalMs).unref()
      const usable = (error ? [] : found)
        .map(({ address }) => address)
        .filter((address) => allowLinkLocal || !isLinkLocalOrMetadata(address))
      onAddresses(usable.length === 0 ? undefined : [...new Set(usable)].sort())
    })
  }
  look()
  return () => {
    stopped = true
    clearTimeout(timer)
  }
}
