import { createHash } from 'node:crypto'
import type { ServerEndpoint } from '../../../config/servers/published.ts'
import { isObject, objectsIn } from '../../../lib/json/read.ts'

/**
 * The part of an EndpointSlice that the router needs:
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

/** Returns undefined if the value is not an EndpointSlice. */
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
      // The addresses of an endpoint are interchangeable; the API's reference tells clients to use the first.
      const address: unknown = Array.isArray(addresses) ? addresses[0] : undefined
      if (typeof address !== 'string') return []
      const { ready, serving, terminating } = isObject(conditions) ? conditions : {}
      // Defaults of the API: a missing `ready` means true, and a missing `serving` means the value of `ready`.
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
 * The endpoints of a Service that should get requests. As in kube-proxy, these are the ready ones or, if none is ready, those
 * that still serve while they terminate. `port` is a number or a name; undefined means the first port.
 */
export function endpointsOfSlices(
  slices: Iterable<EndpointSlice>,
  port: number | string | undefined,
): ServerEndpoint[] {
  // IPv4 first: a dual-stack pod is listed in slices of both families, and the first address wins.
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
    // A pod can be in two slices: while it moves from one to another, or because it is dual-stack.
    if (!byName.has(name)) byName.set(name, { name, address, port })
  }
  return [...byName.values()].sort((a, b) => ((a.name ?? '') < (b.name ?? '') ? -1 : 1))
}

function portOf({ ports }: EndpointSlice, nameOrNumber: number | string | undefined): number | undefined {
  if (typeof nameOrNumber === 'number') return nameOrNumber
  if (nameOrNumber === undefined) return ports[0]?.port
  return ports.find(({ name }) => name === nameOrNumber)?.port
}
