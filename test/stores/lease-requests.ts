import { randomBytes } from 'node:crypto'
import type { LeaseCandidate, LeaseRequest, LeaseStore } from '../../src/stores/leases/store.ts'

/** A wish for the targets with these names, each on a host of its own unless it is written `name on host`. */
export function wishFor(
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
  return { id, host, reserve: id.startsWith('sleeping'), places: 1 }
}

/** The same with so many places at each target. */
export function withPlaces(wish: LeaseRequest, places: number): LeaseRequest {
  return { ...wish, targets: wish.targets.map((target) => ({ ...target, places })) }
}

/** The id of the target that the wish gets; undefined when it gets none. */
export async function taken(store: LeaseStore, wish: LeaseRequest): Promise<string | undefined> {
  return (await store.acquire(wish))?.target.id
}

/** The next model that a store tells to have something free. */
export function freed(store: LeaseStore, model: string): Promise<string> {
  return new Promise((resolve) => {
    store.onFreed((told) => {
      if (told === model) resolve(told)
    })
  })
}
