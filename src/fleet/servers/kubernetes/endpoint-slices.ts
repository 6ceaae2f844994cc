import { createHash } from 'node:crypto'
import type { ServerEndpoint } from '../../../config/servers/published.ts'
import { isObject, objectsIn } from '../../../lib/json/read.ts'

/**
 * What the router reads of an EndpointSlice:
 * https://kubernetes.io/docs/reference/kubernetes-api/service-resources/endpoint-slice-v1/
 */
export interface EndpointSlice {
  name: string
  addressType: string
  ports: readonly { name: string; port: number }[]
  endpoints: readonly SliceEndpoint[]
}

interface SliceEndpoint {
  address: string
  pod: string | undefined
  ready: boolean
  serving: boolean
  terminating: boolean
}

/** Undefined for what is no EndpointSlice. */
export function readSlice(value: unknown): EndpointSlice | undefined {
  const { metadata, addressType, ports, endpoints } = isObject(value) ? value : {}
  if (!isObject(metadata) || typeof metadata.name !== 'string') return undefined
  return {
    name: metadata.name,
    addressType: String(addressType),
    ports: objectsIn(ports).flatMap(({ name, port }) =>
      typeof port === 'number' ? [{ name: typeof name === 'string' ? name : '', port }] : [],
    ),
    endpoints: objectsIn(endpoints).flatMap(({ addresses, conditions, targetRef }): SliceEndpoint[] => {
      // They are interchangeable: clients use the first one.
      const address: unknown = Array.isArray(addresses) ? addresses[0] : undefined
      if (typeof address !== 'string') return []
      const { ready, serving, terminating } = isObject(conditions) ? conditions : {}
      // What is unknown counts as ready; serving is as ready where it is unknown.
      const isReady = ready !== false
      return [
        {
          address,
          pod:
            isObject(targetRef) && targetRef.kind === 'Pod' && typeof targetRef.name === 'string'
              ? targetRef.name
              : undefined,
          ready: isReady,
          serving: typeof serving === 'boolean' ? serving : isReady,
          terminating: terminating === true,
        },
      ]
    }),
  }
}

/**
 * The endpoints of a Service that get requests, from all of its slices: those that are ready; if there are none, those that
 * still serve while they terminate, as kube-proxy does. `port`: number or name; the first one if undefined.
 */
export function endpointsOfSlices(
  slices: Iterable<EndpointSlice>,
  port: number | string | undefined,
): ServerEndpoint[] {
  // Slices of IPv4 first, which are the ones used for pods that have both.
  const sorted = [...slices]
    .filter(({ addressType }) => addressType === 'IPv4' || addressType === 'IPv6')
    .sort((a, b) => (a.addressType + a.name < b.addressType + b.name ? -1 : 1))
  const all = sorted.flatMap((slice) => {
    const number = portOf(slice, port)
    return number === undefined ? [] : slice.endpoints.map((endpoint) => ({ ...endpoint, port: number }))
  })
  const ready = all.filter((endpoint) => endpoint.ready && !endpoint.terminating)
  const serving = all.filter((endpoint) => endpoint.serving && endpoint.terminating)
  const byName = new Map<string, ServerEndpoint>()
  for (const { pod, address, port } of ready.length > 0 ? ready : serving) {
    const name = pod ?? createHash('sha256').update(address).digest('hex').slice(0, 8)
    // While a pod moves from one slice to another, it is in both.
    if (!byName.has(name)) byName.set(name, { name, address, port })
  }
  return [...byName.values()].sort((a, b) => ((a.name ?? '') < (b.name ?? '') ? -1 : 1))
}

function portOf({ ports }: EndpointSlice, wanted: number | string | undefined): number | undefined {
  if (typeof wanted === 'number') return wanted
  if (wanted === undefined) return ports[0]?.port
  return ports.find(({ name }) => name === wanted)?.port
}
