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
import type { SamplerName, TracingSettings } from '../../config/settings-tracing.ts'
import { version } from '../../lib/version.ts'

export { RequestSpan } from './request-span.ts'

export interface Tracing {
  tracer: Tracer
  /** Sends what is left, and waits for it at most this long. */
  close(maxMs: number): Promise<void>
}

export interface TracingListener {
  /** A batch of spans could not be sent, with the code of why. */
  onLoss(spans: number, cause: string): void
  /** The SDK has something to say about its settings, or about spans that it dropped. */
  onWarning(detail: string): void
}

/**
 * OpenTelemetry's SDK, with nothing of it global but its warnings. Spans are collected and sent by the batch; while the
 * collector is slow or away, they are dropped and nothing waits.
 */
export function createTracing(
  { url, sampler, ratio, batch }: TracingSettings,
  { onLoss, onWarning }: TracingListener,
): Tracing {
  diag.setLogger(warningsOnly(onWarning), { logLevel: DiagLogLevel.WARN, suppressOverrideMessage: true })
  const exporter = tellingLosses(new OTLPTraceExporter({ url }), onLoss)
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
      // A batch that is too slow to send is lost, which is told by its exporter if at all.
      const flushed = provider.shutdown().catch(() => undefined)
      await Promise.race([flushed, limit])
      clearTimeout(timer)
    },
  }
}

/** The later ones win: what the environment says. */
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

/** What it has as errors are batches that could not be sent, with all that the collector said. */
function warningsOnly(onWarning: (detail: string) => void): DiagLogger {
  const nothing = (): void => undefined
  return { error: nothing, warn: onWarning, info: nothing, debug: nothing, verbose: nothing }
}

/** The SDK itself tells a failed export to its global error handler alone. */
function tellingLosses(inner: SpanExporter, onLoss: (spans: number, cause: string) => void): SpanExporter {
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

/** The code of a socket error, the status of an answer, or what it is called: its message may quote the collector. */
function codeOf(error: Error): string {
  const code = 'code' in error ? error.code : undefined
  return typeof code === 'string' || typeof code === 'number' ? String(code) : error.name
}
