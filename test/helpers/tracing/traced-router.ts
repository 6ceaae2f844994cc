import assert from 'node:assert/strict'
import type { TestContext } from 'node:test'
import { modelsConfig } from '../models-config.ts'
import { startRouter, type TestRouter } from '../router.ts'
import { type Script, type ScriptedUpstream, startUpstream } from '../scripted-upstream.ts'
import type { CollectedSpan, TraceCollector } from './trace-collector.ts'

export const chatPath = '/v1/chat/completions'
/** A client's span, the parent of its requests. */
export const clientTrace = '0af7651916cd43dd8448eb211c80319c'
export const clientSpan = 'b7ad6b7169203331'
export const traceparent = `00-${clientTrace}-${clientSpan}-01`

export interface TracedRouter {
  router: TestRouter
  upstreams: ScriptedUpstream[]
}

/**
 * A router that sends its spans to this collector, and whose model `one` has one upstream for each script, the first one first.
 */
export async function tracedRouter(
  t: TestContext,
  collector: TraceCollector,
  scripts: Script[],
  env: Record<string, string> = {},
): Promise<TracedRouter> {
  const upstreams = await Promise.all(scripts.map((script) => startUpstream(script)))
  const providers = upstreams.map(({ url }, index) => ({
    id: `box-${index}`,
    api_type: 'vllm',
    api_host: url,
    api_token: 'canary-key',
    model_path: 'org/served',
    weight: index === 0 ? 1 : 0.000001,
  }))
  const router = await startRouter({
    env: {
      OTEL_EXPORTER_OTLP_ENDPOINT: collector.url,
      OTEL_BSP_SCHEDULE_DELAY: '5',
      LLM_ROUTER_BALANCE_STRATEGY: 'first_available',
      ...env,
    },
    models: modelsConfig({ one: providers }),
  })
  t.after(async () => {
    await router.close()
    for (const upstream of upstreams) await upstream.close()
  })
  return { router, upstreams }
}

/** The span tree of a request: its own span and those of its attempts, in order. Waits for this many spans. */
export async function treeOf(
  collector: TraceCollector,
  requestId: string,
  count: number,
): Promise<[CollectedSpan, ...CollectedSpan[]]> {
  const [request] = await collector.spansWhere(
    1,
    (span) => span.attributes['llm_router.request_id'] === requestId,
  )
  assert.ok(request)
  const all = await collector.spansWhere(count, (span) => span.traceId === request.traceId)
  const calls = all.filter(({ parentId }) => parentId === request.spanId)
  return [request, ...calls.toSorted((a, b) => Number(a.start - b.start))]
}

/** The trace context of an upstream's last request. */
export function upstreamTrace(upstream: ScriptedUpstream | undefined): string {
  return String(upstream?.requests.at(-1)?.headers.traceparent)
}
