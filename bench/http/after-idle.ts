import { caseNamed } from './cases.ts'
import { measure, median } from './measure.ts'
import { type MeasuredProxy, startStage } from './stage.ts'

/**
 * `node bench/http/after-idle.ts` prints what a small JSON request costs at full load, and in the first seconds after an idle
 * period in which V8 collects all garbage: after the last request it may discard the compiled code of the request path.
 */
const warmMs = 8_000
const loadMs = 1_500
/** V8 begins eight seconds after its last allocation, and may collect once more. */
const restMs = 20_000
const rests = 4
const name = 'JSON, 1 KB in, 0.5 KB out'

const benchCase = caseNamed(name)
const stage = await startStage()
try {
  const proxies = [stage.pipe, stage.router]
  const costUs = async (proxy: MeasuredProxy): Promise<number> =>
    (await measure(stage, proxy, benchCase, { durationMs: loadMs, perSecond: 0 })).costUs
  const costs = new Map(proxies.map((proxy) => [proxy, { before: [] as number[], after: [] as number[] }]))
  for (const proxy of proxies) await measure(stage, proxy, benchCase, { durationMs: warmMs, perSecond: 0 })
  for (let rest = 0; rest < rests; rest++) {
    for (const [proxy, { before }] of costs) {
      await measure(stage, proxy, benchCase, { durationMs: warmMs / 2, perSecond: 0 })
      before.push(await costUs(proxy))
    }
    await new Promise((resolve) => setTimeout(resolve, restMs))
    for (const [proxy, { after }] of costs) after.push(await costUs(proxy))
  }
  console.log(`${name}, at full load; processor time of a request (µs), median of ${rests}\n`)
  console.log('| proxy | before a rest | in the first 1.5 s after it |\n|---|--:|--:|')
  for (const [proxy, { before, after }] of costs)
    console.log(
      `| ${proxy.name} | ${median(before).toFixed(0)} | ${median(after).toFixed(0)} (${after.map((each) => each.toFixed(0)).join(' ')}) |`,
    )
} finally {
  await stage.close()
}
