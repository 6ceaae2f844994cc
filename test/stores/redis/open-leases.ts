import type { TestContext } from 'node:test'
import { RedisLeases, type RedisLeasesOptions } from '../../../src/stores/leases/redis.ts'
import type { LeaseStore } from '../../../src/stores/leases/store.ts'

export interface OpenedLeases {
  store: LeaseStore
  /** What was logged. */
  warnings: string[]
}

/** A started store that is closed after the test. */
export async function openLeases(
  t: TestContext,
  options: Pick<RedisLeasesOptions, 'link' | 'whenDown'> & Partial<RedisLeasesOptions>,
): Promise<OpenedLeases> {
  const warnings: string[] = []
  const store = new RedisLeases({
    worker: 'w1',
    now: () => performance.now(),
    log: { info: () => undefined, warn: (_details, message) => warnings.push(message) },
    ...options,
  })
  t.after(() => store.close())
  await store.started()
  return { store, warnings }
}
