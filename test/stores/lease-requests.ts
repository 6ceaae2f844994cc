import { randomBytes } from 'node:crypto'
import type { LeaseCandidate, LeaseRequest, LeaseStore } from '../../src/stores/leases/store.ts'

/** A request for the targets with these names, each on a separate host unless written as `name on host`. */
export function leaseRequest(
  model: string,
  names: readonly string[],
  changes: Partial<LeaseRequest> = {},
): LeaseRequest {
  return {
    key: randomBytes(12).toString('hex'),
    model,
    targets: names.map(targetNamed),
    affinity: false,
    complete: true,
    ...changes,
  }
}

function targetNamed(name: string): LeaseCandidate {
  const [id = '', host = `host-of-${name}`] = name.split(' on ')
  return { id, host, isLastResort: id.startsWith('sleeping'), slots: 1 }
}

/** The same with this many slots at each target. */
export function withSlots(request: LeaseRequest, slots: number): LeaseRequest {
  return { ...request, targets: request.targets.map((target) => ({ ...target, slots })) }
}

/** The id of the target that the request gets; undefined if it gets none. */
export async function taken(store: LeaseStore, request: LeaseRequest): Promise<string | undefined> {
  return (await store.acquire(request))?.target.id
}

/** The next model that a store reports to have a free target. */
export function freed(store: LeaseStore, model: string): Promise<string> {
  return new Promise((resolve) => {
    store.onFreed((freedModel) => {
      if (freedModel === model) resolve(freedModel)
    })
  })
}
