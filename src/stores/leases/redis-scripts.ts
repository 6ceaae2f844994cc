import type { RedisLink } from '../redis/client.ts'
import { freedChannel, pythonField, redisKeys } from '../redis/keys.ts'
import type { LeaseCandidate, LeaseRequest } from './store.ts'

export interface LeasedTarget {
  token: string
  model: string
  target: LeaseCandidate
}

interface Process {
  link: RedisLink
  /** Identifies the process: part of its tokens, and name of the list of its leases. */
  worker: string
  /** Identifies the host, whose processes wait for slots as one. */
  host: string
  ttlMs: number
}

/** Returns the acquired target and its fence; undefined if none was acquired. */
export async function acquireLease(
  { link, worker, host: waiter, ttlMs }: Process,
  token: string,
  { model, targets, affinity, complete }: LeaseRequest,
): Promise<{ target: LeaseCandidate; fence: number } | undefined> {
  const keys = [
    redisKeys.fence(model),
    redisKeys.python(model),
    redisKeys.waiting(model),
    redisKeys.owned(worker),
    redisKeys.gone(token),
    redisKeys.gone(worker),
    redisKeys.lastHost(model),
    redisKeys.knownHosts(model),
    redisKeys.usedHosts,
    ...targets.map(({ id }) => redisKeys.leases(model, id)),
    ...targets.map(({ host }) => redisKeys.running(host)),
  ]
  const reply = await link.run('acquire-lease', keys, [
    token,
    ttlMs,
    waiter,
    model,
    flagOf(affinity),
    flagOf(complete),
    ...targets.flatMap(({ id, host, isLastResort, slots }) => [
      id,
      fieldOf(link, id, host),
      host,
      flagOf(isLastResort),
      slots,
    ]),
  ])
  if (!Array.isArray(reply)) return undefined
  const [index, fence] = reply.map(Number)
  const target = targets[(index ?? 0) - 1]
  return target && fence !== undefined ? { target, fence } : undefined
}

/** Returns the fence of each lease, or 0 if others hold all slots of the target. */
export async function renewLeases(
  { link, worker, ttlMs }: Process,
  leases: readonly LeasedTarget[],
): Promise<number[]> {
  const keys = leases.flatMap(({ token, model, target: { id, host } }) => [
    redisKeys.leases(model, id),
    redisKeys.fence(model),
    redisKeys.python(model),
    redisKeys.running(host),
    redisKeys.gone(token),
  ])
  const reply = await link.run(
    'renew-leases',
    [redisKeys.owned(worker), ...keys],
    [
      ttlMs,
      ...leases.flatMap(({ token, model, target: { id, host, slots } }) => [
        token,
        model,
        id,
        fieldOf(link, id, host),
        host,
        slots,
      ]),
    ],
  )
  return Array.isArray(reply) ? reply.map(Number) : []
}

export interface ReleaseRequest {
  token: string
  model: string
  targets: readonly Pick<LeaseCandidate, 'id' | 'host'>[]
  /** Whether a delayed acquire or renew of this token must have no effect. */
  abandon: boolean
}

/** Releases the leases of a token at the targets. */
export async function releaseLeases(
  { link, worker, host: waiter, ttlMs }: Process,
  { token, model, targets, abandon }: ReleaseRequest,
): Promise<void> {
  const keys = [
    redisKeys.python(model),
    redisKeys.waiting(model),
    redisKeys.owned(worker),
    redisKeys.gone(token),
    ...targets.map(({ id }) => redisKeys.leases(model, id)),
    ...targets.map(({ host }) => redisKeys.running(host)),
  ]
  await link.run('release-leases', keys, [
    token,
    ttlMs,
    waiter,
    model,
    freedChannel,
    flagOf(abandon),
    ...targets.map(({ id, host }) => fieldOf(link, id, host)),
  ])
}

/** Returns '' in a cluster, where the hash of the Python llm-router may be on another node than the leases. */
function fieldOf({ commands }: RedisLink, id: string, host: string): string {
  return commands.isCluster ? '' : pythonField(id, host)
}

function flagOf(isSet: boolean): string {
  return isSet ? '1' : '0'
}
