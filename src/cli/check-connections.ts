import { modelPlace } from '../config/places.ts'
import { ConnectError } from '../lib/connect-error.ts'
import { askOnce } from '../relay/upstream/ask-once.ts'
import type { Model, Target } from '../sdk/target.ts'

const timeoutMs = 3_000

interface PlacedTarget {
  target: Target
  path: string
}

/**
 * Connects to the servers behind TLS or a proxy, and warns of certificates and proxies that a request would fail at. Without a
 * key, and once for each server; one that is not there is no mistake of the configuration.
 */
export async function checkConnections(models: readonly Model[]): Promise<string[]> {
  const servers = Map.groupBy(models.flatMap(placedTargets), ({ target: { origin, connection } }) =>
    JSON.stringify([origin, connection]),
  )
  const verdicts = [...servers.values()].map(async (placed) => {
    const [first] = placed
    const fault = first && (await faultOf(first.target))
    return fault === undefined ? [] : placed.map(({ path }) => `${path}: no connection: ${fault}`)
  })
  return (await Promise.all(verdicts)).flat()
}

function placedTargets({ group, alias, targets, sleeping }: Model): PlacedTarget[] {
  const placed = (list: readonly Target[], name: string): PlacedTarget[] =>
    list.map((target, index) => ({ target, path: `${modelPlace(group, alias)}.${name}[${index}].api_host` }))
  return [...placed(targets, 'providers'), ...placed(sleeping, 'providers_sleep')].filter(
    ({ target: { origin, connection } }) => origin.startsWith('https:') || connection?.proxy !== undefined,
  )
}

async function faultOf({ origin, connection, healthPath: path = '/' }: Target): Promise<string | undefined> {
  try {
    await askOnce({ origin, path, connection, signal: AbortSignal.timeout(timeoutMs) })
  } catch (error) {
    if (error instanceof ConnectError) return error.message
  }
  return undefined
}
