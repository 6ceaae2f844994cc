import { type DiagLogger, DiagLogLevel, diag, type Tracer } from '@opentelemetry/api'
import { OTLPTraceExporter } from '@opentelemetry/exporter-trace-otlp-proto'
import {
  defaultResource,
  detectResources,
  type Resource,
  resourceAttributesEnvDetector,
  resourceFromAttributes,
  serviceInstanceIdDetector,
  serviceNameEnvDetector,
} from '@opentelemetry/resources'
import {
  AlwaysOffSampler,
  AlwaysOnSampler,
  BatchSpanProcessor,
  ParentBasedSampler,
  type Sampler,
  type SpanExporter,
  TraceIdRatioBasedSampler,
  TracerProvider,
} from '@opentelemetry/sdk-trace'
import type { SamplerName, TracingSettings } from '../../config/settings/tracing.ts'
import { version } from '../../lib/version.ts'

export { RequestSpan } from './request-span.ts'

export interface Tracing {
  tracer: Tracer
  /** Sends the remaining spans, waiting at most `maxMs`. */
  close(maxMs: number): Promise<void>
}

export interface TracingListener {
  /** A batch of spans could not be sent. `cause`: error code. */
  onLoss(spans: number, cause: string): void
  /** A warning of the SDK about its settings or about dropped spans. */
  onWarning(detail: string): void
}

/**
 * Sets up OpenTelemetry's SDK without global state except its diagnostics. Spans are sent in batches. While the
 * collector is slow or down, they are dropped and nothing waits.
 */
export function createTracing(
  { url, sampler, ratio, batch }: TracingSettings,
  { onLoss, onWarning }: TracingListener,
): Tracing {
  diag.setLogger(warningsOnly(onWarning), { logLevel: DiagLogLevel.WARN, suppressOverrideMessage: true })
  const exporter = reportingLosses(new OTLPTraceExporter({ url }), onLoss)
  const provider = new TracerProvider({
    resource: resource(),
    sampler: samplerOf(sampler, ratio),
    spanProcessors: [new BatchSpanProcessor({ ...batch, exporter })],
  })
  return {
    tracer: provider.getTracer('llm-router', version),
    async close(maxMs) {
      let timer: NodeJS.Timeout | undefined
      const limit = new Promise<void>((resolve) => {
        timer = setTimeout(resolve, maxMs)
      })
      // A batch that cannot be sent in time is dropped; only its exporter may report that.
      const flushed = provider.shutdown().catch(() => undefined)
      await Promise.race([flushed, limit])
      clearTimeout(timer)
    },
  }
}

/** Later detectors override earlier ones, so the environment wins. */
function resource(): Resource {
  const own = resourceFromAttributes({ 'service.name': 'llm-router', 'service.version': version })
  const detectors = [serviceInstanceIdDetector, resourceAttributesEnvDetector, serviceNameEnvDetector]
  return defaultResource().merge(own).merge(detectResources({ detectors }))
}

function samplerOf(name: SamplerName, ratio: number): Sampler {
  switch (name) {
    case 'always_on':
      return new AlwaysOnSampler()
    case 'always_off':
      return new AlwaysOffSampler()
    case 'traceidratio':
      return new TraceIdRatioBasedSampler(ratio)
    case 'parentbased_always_on':
      return new ParentBasedSampler({ root: new AlwaysOnSampler() })
    case 'parentbased_always_off':
      return new ParentBasedSampler({ root: new AlwaysOffSampler() })
    case 'parentbased_traceidratio':
      return new ParentBasedSampler({ root: new TraceIdRatioBasedSampler(ratio) })
  }
}

/** The SDK's errors are failed batches with the collector's full response, so they are not logged. */
function warningsOnly(onWarning: (detail: string) => void): DiagLogger {
  const nothing = (): void => undefined
  // Components name themselves before the message. What follows a message is not logged, because it may quote the collector.
  const warn = (first: string, second?: unknown): void =>
    onWarning(/^\S+$/.test(first) && typeof second === 'string' ? `${first}: ${second}` : first)
  return { error: nothing, warn, info: nothing, debug: nothing, verbose: nothing }
}

/** Reports failed exports, which the SDK passes to its global error handler only. */
function reportingLosses(inner: SpanExporter, onLoss: (spans: number, cause: string) => void): SpanExporter {
  return {
    export: (spans, done) =>
      inner.export(spans, (result) => {
        if (result.error) onLoss(spans.length, codeOf(result.error))
        done(result)
      }),
    forceFlush: () => inner.forceFlush?.() ?? Promise.resolve(),
    shutdown: () => inner.shutdown(),
  }
}

/** Code of a socket error, HTTP status, or error name. Not the message, which may quote the collector. */
function codeOf(error: Error): string {
  const code = 'code' in error ? error.code : undefined
  return typeof code === 'string' || typeof code === 'number' ? String(code) : error.name
}
