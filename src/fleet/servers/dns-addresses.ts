import { lookup as systemLookup } from 'node:dns'
import { isIP } from 'node:net'
import { isLinkLocalOrMetadata, withoutBrackets } from '../../lib/host-addresses.ts'
import type { AllLookup } from '../../relay/upstream/checked-lookup.ts'

export interface DnsOptions {
  intervalMs: number
  allowLinkLocal: boolean
  /** Resolves all addresses of a name; `dns.lookup` by default. */
  lookup?: AllLookup | undefined
}

/**
 * Resolves all addresses of a name at an interval. `onAddresses` gets each result; undefined if the lookup failed or had no
 * usable address. Returns a function that stops it.
 */
export function followAddresses(
  hostname: string,
  { intervalMs, allowLinkLocal, lookup = systemLookup }: DnsOptions,
  onAddresses: (addresses: readonly string[] | undefined) => void,
): () => void {
  let timer: NodeJS.Timeout | undefined
  let stopped = false
  const host = withoutBrackets(hostname)
  if (isIP(host) !== 0) {
    onAddresses([host])
    return () => undefined
  }
  const resolveName = (): void => {
    lookup(host, { all: true }, (error, found) => {
      if (stopped) return
      timer = setTimeout(resolveName, intervalMs).unref()
      const usable = (error ? [] : found)
        .map(({ address }) => address)
        .filter((address) => allowLinkLocal || !isLinkLocalOrMetadata(address))
      onAddresses(usable.length === 0 ? undefined : [...new Set(usable)].sort())
    })
  }
  resolveName()
  return () => {
    stopped = true
    clearTimeout(timer)
  }
}
