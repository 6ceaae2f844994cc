import {
  type Attributes,
  ROOT_CONTEXT,
  type Span,
  SpanKind,
  SpanStatusCode,
  type Tracer,
  trace,
} from '@opentelemetry/api'
import type { ExchangeRecord } from '../../relay/exchange-record.ts'
import type { Step } from '../../relay/steps.ts'
import type { AttemptTrace, RequestTrace, TraceHeaders } from '../../relay/trace.ts'
import { reasonOf } from '../metrics/labels.ts'
import { AttemptSpan } from './attempt-span.ts'
import { randomFlag, type TraceContext, traceHeaders, unrecordedAttempt } from './trace-context.ts'

/** Shorter searches for a target are not recorded as waits, in milliseconds. */
const leastWaitMs = 1

/** Span of one request, the parent of its attempts' spans. Records the steps of its exchange and ends with it. */
export class RequestSpan implements RequestTrace {
  readonly traceId: string
  readonly spanId: string
  readonly #tracer: Tracer
  readonly #span: Span
  readonly #state: string | undefined
  /** The client's trace flags; the SDK's samplers only use the sampled flag. */
  readonly #idFlags: number
  #attempts = 0

  /** `client`: the client's trace context; undefined to start a new trace. */
  constructor(
    tracer: Tracer,
    { name, attributes, client }: { name: string; attributes: Attributes; client: TraceContext | undefined },
  ) {
    this.#tracer = tracer
    this.#state = client?.state
    this.#idFlags = (client?.flags ?? 0) & randomFlag
    const parent = client
      ? trace.setSpanContext(ROOT_CONTEXT, {
          traceId: client.traceId,
          spanId: client.parentId,
          traceFlags: client.flags,
          isRemote: true,
        })
      : ROOT_CONTEXT
    this.#span = tracer.startSpan(name, { kind: SpanKind.SERVER, attributes }, parent)
    const { traceId, spanId } = this.#span.spanContext()
    this.traceId = traceId
    this.spanId = spanId
  }

  beginAttempt(...[target, { after, reasons }]: Parameters<RequestTrace['beginAttempt']>): AttemptTrace {
    this.#attempts++
    if (!this.#span.isRecording()) return unrecordedAttempt(this.#headersOf(this.#span))
    if (after) {
      this.#event('llm_router.failover', { 'llm_router.target': target.id, 'error.type': reasonOf(after) })
    }
    const context = trace.setSpan(ROOT_CONTEXT, this.#span)
    const reason = reasons?.last()
    const attributes = {
      'llm_router.call.number': this.#attempts,
      ...(reason === undefined || reason === '' ? {} : { 'llm_router.reason': reason }),
    }
    const name = `call ${target.upstreamModel}`
    const span = this.#tracer.startSpan(name, { kind: SpanKind.CLIENT, attributes }, context)
    return new AttemptSpan(span, this.#headersOf(span), target)
  }

  step(step: Step): void {
    if (!this.#span.isRecording()) return
    switch (step.type) {
      case 'pick': {
        const model = { 'llm_router.model': step.model }
        if (step.ms >= leastWaitMs) {
          this.#event('llm_router.queue_wait', { ...model, 'llm_router.wait': step.ms / 1000 })
        }
        if (step.error) this.#event('llm_router.no_target', { ...model, 'error.type': reasonOf(step.error) })
        return
      }
      case 'resent':
        this.#event('llm_router.resent', { 'llm_router.model': step.model })
        return
      case 'exhausted':
        this.#event('llm_router.given_up', {
          'llm_router.model': step.model,
          'error.type': reasonOf(step.error),
        })
        return
      case 'attempt-began':
      case 'attempt-ended':
        return // has its own span
    }
  }

  /**
   * Client errors and cancellations leave the span status unset. Source: OpenTelemetry's conventions for HTTP spans,
   * "Status".
   */
  end(record: ExchangeRecord): void {
    const span = this.#span
    const { status, outcome, error, model, answeringModel, reason, processed, auto, cache } = record
    span.setAttributes({
      'http.response.status_code': status,
      'llm_router.outcome': outcome,
      'llm_router.request_id': record.id,
      ...(model === undefined ? {} : { 'gen_ai.request.model': model, 'llm_router.calls': record.attempts }),
      ...(reason === undefined ? {} : { 'llm_router.reason': reason }),
      ...(auto && { 'llm_router.auto': auto.by }),
      ...(processed && {
        'llm_router.processors': processed.steps.map(
          ({ processor, on, outcome }) => `${processor}${on ? ` (${on})` : ''}: ${outcome}`,
        ),
      }),
      ...(cache === undefined ? {} : { 'llm_router.cache': cache }),
      ...(answeringModel === undefined ? {} : { 'llm_router.fallback_model': answeringModel }),
    })
    if (outcome === 'error' || outcome === 'truncated') {
      span.setAttribute('error.type', error ? reasonOf(error) : String(status))
      span.setStatus({ code: SpanStatusCode.ERROR })
    }
    span.end()
  }

  #event(name: string, attributes: Attributes): void {
    this.#span.addEvent(name, attributes)
  }

  #headersOf(span: Span): TraceHeaders {
    const { traceId, spanId, traceFlags } = span.spanContext()
    return traceHeaders({ traceId, spanId, flags: traceFlags | this.#idFlags }, this.#state)
  }
}
