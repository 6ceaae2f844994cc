import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pino } from 'pino'
import { buildApp } from '../../src/app.ts'
import { loadConfig } from '../../src/config/settings/settings.ts'
import type { TargetHealth } from '../../src/plugins/health/target-health.ts'
import { movesOn } from '../../src/relay/attempt/attempt-result.ts'
import { RouterError } from '../../src/sdk/errors.ts'
import { plainRequest } from './simulated-server.ts'

/**
 * `node bench/strategies/pick-cost.ts` prints the cost of picking one of many targets and settling it, in microseconds of
 * processor time, for each strategy that does not wait; while some of them are down; and for a model among many. For
 * comparison, a request takes a few hundred microseconds.
 */
const counts = [1, 10, 100, 1_000]
const strategies = ['balanced', 'weighted', 'dynamic_weighted', 'least_busy', 'adaptive']
const picks = 20_000
/** Of a thousand targets some are always down. */
const down = 3

console.log(
  `| strategy | ${counts.map((count) => `${count} targets`).join(' | ')} | ${down} down | one of 10,000 models |`,
)
console.log(`|---|${'--:|'.repeat(counts.length + 2)}`)
for (const strategy of strategies) {
  const cells = []
  for (const count of counts) cells.push(await costUs(strategy, { models: 1, targets: count }))
  cells.push(await costUs(strategy, { models: 1, targets: 1_000, down }))
  cells.push(await costUs(strategy, { models: 10_000, targets: 1 }))
  console.log(`| ${strategy} | ${cells.map((cell) => cell.toFixed(1)).join(' | ')} |`)
}

async function costUs(
  strategy: string,
  size: { models: number; targets: number; down?: number },
): Promise<number> {
  const folder = mkdtempSync(join(tmpdir(), 'llm-router-bench-'))
  const file = join(folder, 'models.json')
  writeFileSync(file, JSON.stringify(modelsConfig(strategy, size)))
  const env = { LLM_ROUTER_MODELS_CONFIG: file, LLM_ROUTER_HEALTH_INTERVAL: '0', LLM_ROUTER_LOG_FILENAME: '' }
  const app = await buildApp({ config: loadConfig(env).config, env, logger: pino({ level: 'silent' }) })
  try {
    const model = app.models.find(`model-${size.models - 1}`)
    if (!model) throw new Error('the model is not there')
    for (const target of model.targets.slice(0, size.down ?? 0)) eject(app.health.of(target))
    const traits = { features: 0, fingerprint: () => undefined }
    const wish = {
      tried: new Set<string>(),
      traits,
      request: plainRequest(),
      isLast: false,
      hasFallback: false,
      turn: { weight: 1, deadlineAt: undefined },
    }
    const stop = new AbortController().signal
    const pick = async (): Promise<void> => {
      const lease = await app.balancer.acquire(model, wish, stop)
      const usage = { promptTokens: 1, completionTokens: 5 }
      lease?.settle({ type: 'success', answer: undefined, streamed: true, firstContentMs: 10, usage })
    }
    for (let warm = 0; warm < picks / 4; warm++) await pick()
    const before = process.cpuUsage()
    for (let picked = 0; picked < picks; picked++) await pick()
    const { user, system } = process.cpuUsage(before)
    return (user + system) / picks
  } finally {
    await app.close()
    rmSync(folder, { recursive: true })
  }
}

function eject(health: TargetHealth): void {
  const unreachable = movesOn(new RouterError('upstream_error', 'unreachable'), 'connect')
  for (let failed = 0; failed < 2; failed++) health.end(health.begin(0), unreachable)
}

function modelsConfig(strategy: string, { models, targets }: { models: number; targets: number }): object {
  const names = Array.from({ length: models }, (_, index) => `model-${index}`)
  const providers = (name: string): object[] =>
    Array.from({ length: targets }, (_, index) => ({
      id: `${name}-${index}`,
      api_type: 'vllm',
      api_host: `http://127.0.0.1:${10_000 + index}`,
      weight: 1,
    }))
  return {
    bench: Object.fromEntries(names.map((name) => [name, { providers: providers(name), strategy }])),
    active_models: { bench: names },
  }
}
