import { type LookupAddress, type LookupOptions, lookup as systemLookup } from 'node:dns'
import type { LookupFunction } from 'node:net'
import { isLinkLocalOrMetadata } from '../../lib/host-addresses.ts'

export interface CheckedLookupOptions {
  /** Called with a host whose addresses are all refused, at each lookup. */
  onRefused: (hostname: string) => void
  /** Whether no address is refused. */
  allowsAll?: boolean
  /** Resolves all addresses of a name; `dns.lookup` by default. */
  lookup?: AllLookup
}

export type AllLookup = (
  hostname: string,
  options: LookupOptions & { all: true },
  done: (error: NodeJS.ErrnoException | null, addresses: LookupAddress[]) => void,
) => void

/** The `code` of the error for a name that leads to refused addresses only. */
export const refusedAddressCode = 'LINK_LOCAL_ADDRESS'

/**
 * Resolves names for new connections and removes link-local and metadata addresses: the address of a name may change
 * after the configuration was checked (DNS rebinding). A name in `.local` may have a link-local address besides an ordinary one,
 * which is then used.
 */
export function checkedLookup({
  onRefused,
  allowsAll = false,
  lookup = systemLookup,
}: CheckedLookupOptions): LookupFunction {
  const shared = sharedLookup(lookup)
  return (hostname, options, done) => {
    shared(hostname, { ...options, all: true }, (error, addresses) => {
      if (error) return done(error, '')
      const usable = addresses.filter(({ address }) => allowsAll || !isLinkLocalOrMetadata(address))
      const [first] = usable
      if (!first) {
        onRefused(hostname)
        const refused = new Error('the name resolves to a link-local or metadata address')
        return done(Object.assign(refused, { code: refusedAddressCode }), '')
      }
      if (options.all) done(null, usable)
      else done(null, first.address, first.family)
    })
  }
}

/**
 * Resolves each name once at a time, for all that wait for it. The system resolves at most two names at once: connections to a name
 * whose DNS server does not answer would delay those to all others.
 */
function sharedLookup(lookup: AllLookup): AllLookup {
  const waiting = new Map<string, Parameters<AllLookup>[2][]>()
  return (hostname, options, done) => {
    const key = `${hostname} ${JSON.stringify(options)}`
    const running = waiting.get(key)
    if (running) {
      running.push(done)
      return
    }
    const all = [done]
    waiting.set(key, all)
    lookup(hostname, options, (error, addresses) => {
      waiting.delete(key)
      for (const each of all) each(error, addresses)
    })
  }
}
