import { seededRandom } from '../../bench/support/seeded-random.ts'
import { keysFile } from '../helpers/keys-file.ts'
import { startRouterProcess } from '../helpers/router-process.ts'
import { fleetConfig, type SoakModel, startFleet } from './fleet.ts'
import { runGoodClient } from './good-clients.ts'
import { Ledger } from './ledger.ts'
import { runPoisonClient } from './poison-clients.ts'
import { killWorkers, sicken, stormReloads } from './troubles.ts'

const workers = 3
const poisonClients = 4
const externalTimeoutSeconds = 3
const queueTimeoutSeconds = 20
/** Three attempts, the queue, and a margin for a slow machine: what takes longer hangs. */
const hangsAfterMs = (3 * externalTimeoutSeconds + queueTimeoutSeconds + 16) * 1_000
/** At the end, when all servers are healthy again. */
const recoveryMs = 5_000

/**
 * Good clients of ten models beside poisonous ones, while up to two servers of a model are dead, frozen or half
 * broken, workers are killed with SIGKILL, and the configuration is rewritten in bursts. Every model keeps
 * healthy servers, so a good request may fail only for the reasons of {@link Ledger}. Throws if one fails for
 * another reason.
 */
export async function runHostile({ minutes, seed }: { minutes: number; seed: number }): Promise<void> {
  const random = seededRandom(seed)
  const ledger = new Ledger()
  const models = await startFleet(random, ledger)
  const secrets = ['good-0', 'good-1', ...Array.from({ length: poisonClients }, (_, at) => `poison-${at}`)]
  const keyOf = (id: string): string => `sk-soak-0123456789-${id}`
  const keys = keysFile(secrets.map((id) => ({ id, key: keyOf(id) })))
  const router = await startRouterProcess({
    env: {
      ...keys.env,
      LLM_ROUTER_SERVER_TYPE: 'cluster',
      LLM_ROUTER_SERVER_WORKERS_COUNT: String(workers),
      LLM_ROUTER_EXTERNAL_TIMEOUT: String(externalTimeoutSeconds),
      LLM_ROUTER_QUEUE_TIMEOUT: String(queueTimeoutSeconds),
      LLM_ROUTER_HEALTH_INTERVAL: '1',
      // The clients keep this machine busy; that is no reason to reject requests.
      LLM_ROUTER_SHED_DELAY: '0',
    },
    models: fleetConfig(models, { without: false, weight: 0.5 }),
  })
  const { url } = router
  ledger.begin()
  let number = 0
  const nextNumber = (): number => ++number
  const outcomes: Record<string, number> = {}
  const goodClientsOf = (model: SoakModel, untilMs: number): Promise<void>[] =>
    Array.from({ length: model.goodClients }, (_, at) =>
      runGoodClient(
        {
          url,
          model: model.name,
          kinds: model.kinds,
          pauseMs: model.pauseMs,
          random,
          ledger,
          key: keyOf(`good-${at % 2}`),
          timeoutMs: hangsAfterMs,
          nextNumber,
        },
        untilMs,
      ),
    )
  try {
    const untilMs = performance.now() + Math.max(5_000, minutes * 60_000 - recoveryMs)
    const menu = new Map(
      models.filter(({ poison }) => poison.length > 0).map(({ name, poison }) => [name, poison]),
    )
    const killable = killGate(models)
    const poison = Array.from({ length: poisonClients }, (_, at) =>
      runPoisonClient(
        {
          url,
          menu,
          random,
          nextNumber,
          outcomes,
          mayKill: killable,
          key: keyOf(`poison-${at}`),
          timeoutMs: hangsAfterMs,
        },
        untilMs,
        (text) => ledger.violation('poison: no end of the answer', text),
      ),
    )
    const [reloads] = await Promise.all([
      stormReloads(router, models, { untilMs, random }),
      killWorkers(router, ledger, { workers, untilMs, random }),
      ...models.map((model) => sicken(model, { untilMs, random })),
      ...models.flatMap((model) => goodClientsOf(model, untilMs)),
      ...poison,
    ])
    await checkRecovery(url, models, ledger, (model) => goodClientsOf(model, performance.now() + recoveryMs))
    for (const [marker, count] of deathsByKiller(models))
      if (count > 2)
        ledger.violation('a request killed more than two servers', `${marker} killed ${count} servers`)
    for (const line of router.logs.filter(({ msg }) => msg === 'internal error'))
      ledger.violation('internal error', `internal error: ${JSON.stringify(line).slice(0, 300)}`)
    if (router.child.exitCode !== null) {
      const last = router.logs.slice(-3).map((line) => JSON.stringify(line))
      ledger.violation('the router ended', `exit code ${router.child.exitCode}: ${last.join('; ')}`)
    }
    report(ledger, outcomes, reloads)
  } finally {
    await router.stop()
    for (const { servers } of models) for (const server of servers) server.stop()
    keys.remove()
  }
  const { violationCount } = ledger
  if (violationCount > 0)
    throw new Error(`${violationCount} violations beside healthy targets (seed ${seed})`)
}

/** A model's servers may be killed again once all of them have been back for longer than two health checks. */
function killGate(models: readonly SoakModel[]): (name: string) => boolean {
  let lastMs = 0
  return (name) => {
    const servers = models.find((model) => model.name === name)?.servers ?? []
    const now = performance.now()
    if (now - lastMs < 5_000 || !servers.every(({ listens }) => listens)) return false
    lastMs = now
    return true
  }
}

async function checkRecovery(
  url: string,
  models: readonly SoakModel[],
  ledger: Ledger,
  goodClients: (model: SoakModel) => Promise<void>[],
): Promise<void> {
  await Promise.all(models.flatMap(goodClients))
  const ready = await fetch(`${url}/readyz`, { signal: AbortSignal.timeout(hangsAfterMs) }).then(
    async (answer) => `${answer.status} ${await answer.text()}`,
    (error: Error) => `${error.message}: ${String(error.cause)}`,
  )
  if (!ready.startsWith('200 ')) ledger.violation('not ready after the troubles', `/readyz: ${ready}`)
}

function deathsByKiller(models: readonly SoakModel[]): Map<string, number> {
  const deaths = new Map<string, number>()
  for (const marker of models.flatMap(({ servers }) => servers.flatMap(({ killedBy }) => killedBy)))
    deaths.set(marker, (deaths.get(marker) ?? 0) + 1)
  return deaths
}

function report(ledger: Ledger, outcomes: Record<string, number>, reloads: number): void {
  console.log(`workers killed: ${ledger.kills}; reloads: ${reloads}`)
  console.log('good requests answered:', ledger.answered)
  console.log('good requests lost for an allowed reason:', ledger.losses)
  console.log('what poison got:', Object.fromEntries(Object.entries(outcomes).toSorted()))
  console.log('violations:', ledger.violations)
}
