import type { FastifyRequest } from 'fastify'
import fp from 'fastify-plugin'
import { readTracing } from '../../config/settings/tracing.ts'
import { methodLabel } from '../metrics/labels.ts'
import type { RequestSpan } from './open-telemetry.ts'
import { readTraceContext } from './trace-context.ts'

/** Maximum time that the shutdown waits for the last spans to be sent, in milliseconds. */
const lastSpansMs = 2_000

/**
 * OpenTelemetry spans of requests and their attempts, if OpenTelemetry's own variables name a collector. Otherwise
 * nothing of it is loaded, and a client's trace is passed on (see the exchange). docs/observability.md describes the
 * spans.
 */
export default fp(
  async (app, { env }: { env: Readonly<Record<string, string | undefined>> }) => {
    const { settings } = readTracing(env)
    if (!settings) return
    const { createTracing, RequestSpan: Span } = await import('./open-telemetry.ts')
    const warn = rareWarning(
      (facts, text) => app.log.warn(facts, text),
      () => performance.now(),
    )
    const tracing = createTracing(settings, {
      onLoss: (spans, cause) =>
        warn('spans could not be sent to the collector', { spans, error_cause: cause }),
      onWarning: (detail) => warn('OpenTelemetry warning', { detail }),
    })
    app.exchanges.traceWith((request) => {
      if (!isOfInterest(request)) return undefined
      const { traceparent, tracestate } = request.headers
      return new Span(tracing.tracer, {
        name: nameOf(request),
        attributes: attributesOf(request),
        client: readTraceContext(traceparent, tracestate),
      })
    })
    const isSpan = (trace: unknown): trace is RequestSpan => trace instanceof Span
    app.exchanges.onStep((step, { trace }) => {
      if (isSpan(trace)) trace.step(step)
    })
    app.exchanges.onEnd((record) => {
      if (isSpan(record.trace)) record.trace.end(record)
    })
    app.addHook('onClose', () => tracing.close(lastSpansMs))
    app.log.info({ sampler: settings.sampler }, 'tracing')
  },
  { name: 'tracing', dependencies: ['exchange', 'admin-port'] },
)

/** Excludes probes, scrapes and the status page: they arrive every few seconds and concern the router itself. */
function isOfInterest({ routeOptions }: FastifyRequest): boolean {
  return !routeOptions.config.admin && !routeOptions.url?.endsWith('/ping')
}

/** Source: OpenTelemetry's conventions for HTTP spans, "Name" and "HTTP server span". */
function nameOf(request: FastifyRequest): string {
  const method = methodLabel(request.method)
  const name = method === 'other' ? 'HTTP' : method
  const { url } = request.routeOptions
  return url === undefined ? name : `${name} ${url}`
}

const maxPathLength = 256

function attributesOf(request: FastifyRequest): Record<string, string> {
  const { routeOptions, url } = request
  const method = methodLabel(request.method)
  return {
    'http.request.method': method === 'other' ? '_OTHER' : method,
    'url.scheme': 'http',
    'url.path': (url.split('?', 1)[0] ?? '').slice(0, maxPathLength),
    ...(routeOptions.url === undefined ? {} : { 'http.route': routeOptions.url }),
  }
}

/** Logs a message with its fields. */
type RareWarning = (text: string, facts: Record<string, unknown>) => void

/**
 * Logs each message at most once per minute, with the number of suppressed repetitions (`repeated`): a collector may be
 * down for days.
 */
export function rareWarning(
  warn: (facts: Record<string, unknown>, text: string) => void,
  now: () => number,
  intervalMs = 60_000,
): RareWarning {
  const logged = new Map<string, { at: number; since: number }>()
  return (text, facts) => {
    const before = logged.get(text)
    if (before && now() - before.at < intervalMs) {
      before.since++
      return
    }
    logged.set(text, { at: now(), since: 0 })
    warn({ ...facts, ...(before && before.since > 0 ? { repeated: before.since } : {}) }, text)
  }
}
