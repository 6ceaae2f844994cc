import { type Span, SpanStatusCode } from '@opentelemetry/api'
import type { Usage } from '../../sdk/chat.ts'
import type { Operation } from '../../sdk/provider.ts'
import type { Target } from '../../sdk/target.ts'
import type { CallTrace, TraceHeaders } from '../../sdk/trace.ts'
import { reasonOf } from '../metrics/labels.ts'
import { AnswerScan } from './answer-facts.ts'

/** OpenTelemetry's words for what is asked of a model; for what it has none, the router's own stands. */
const operationNames: Readonly<Partial<Record<Operation, string>>> = {
  completion: 'text_completion',
  responses: 'chat',
  embedding: 'embeddings',
}

/**
 * One try at one target as a span of its own. Names of attributes: OpenTelemetry's conventions for generative AI ("GenAI
 * spans"), for HTTP and for errors; what they have no name for begins with `llm_router.`. Never a prompt or an answer.
 */
export class CallSpan implements CallTrace {
  readonly #span: Span
  readonly #headers: TraceHeaders
  readonly #target: Target
  readonly #startedAt: number
  readonly #scan: AnswerScan
  #sentAt: number
  #hasContent = false

  constructor(span: Span, headers: TraceHeaders, target: Target) {
    this.#span = span
    this.#headers = headers
    this.#target = target
    this.#startedAt = performance.now()
    this.#sentAt = this.#startedAt
    this.#scan = new AnswerScan(target.type.dialect)
    span.setAttributes({
      'gen_ai.provider.name': target.type.name,
      'gen_ai.request.model': target.upstreamModel,
      'llm_router.model': target.model,
      'llm_router.target': target.id,
      ...addressOf(target),
    })
  }

  sending(operation: Operation, stream: boolean): TraceHeaders {
    const name = operationNames[operation] ?? operation
    this.#sentAt = performance.now()
    this.#span.updateName(`${name} ${this.#target.upstreamModel}`)
    this.#span.setAttribute('gen_ai.operation.name', name)
    if (stream) this.#span.setAttribute('gen_ai.request.stream', true)
    return this.#headers
  }

  contentSeen(): void {
    if (this.#hasContent) return
    this.#hasContent = true
    const seconds = (performance.now() - this.#sentAt) / 1000
    this.#span.setAttribute('gen_ai.response.time_to_first_chunk', seconds)
    this.#span.addEvent('llm_router.first_token', { 'llm_router.time_to_first_token': seconds })
  }

  received(bytes: Buffer): void {
    this.#scan.push(bytes)
  }

  used(usage: Usage | undefined): void {
    if (!usage) return
    const counts = {
      input_tokens: usage.promptTokens,
      output_tokens: usage.completionTokens,
      'cache_read.input_tokens': usage.cachedTokens,
      'cache_creation.input_tokens': usage.cacheWriteTokens,
      'reasoning.output_tokens': usage.reasoningTokens,
    }
    for (const [name, count] of Object.entries(counts)) {
      if (count !== undefined) this.#span.setAttribute(`gen_ai.usage.${name}`, count)
    }
  }

  /** A try that the client's leaving ended has not failed: it says nothing about its target. */
  end({ result, error }: Parameters<CallTrace['end']>[0]): void {
    const span = this.#span
    const { id, model, finishReasons } = this.#scan.facts
    if (id !== undefined) span.setAttribute('gen_ai.response.id', id)
    if (model !== undefined) span.setAttribute('gen_ai.response.model', model)
    if (finishReasons.length > 0) span.setAttribute('gen_ai.response.finish_reasons', finishReasons)
    span.setAttribute('llm_router.result', result)
    if (error && error.kind !== 'client_gone') {
      const [, status] = /^HTTP_([1-5][0-9]{2})$/.exec(error.causeCode ?? '') ?? []
      if (status !== undefined) span.setAttribute('http.response.status_code', Number(status))
      if (error.causeCode !== undefined) span.setAttribute('llm_router.error.cause', error.causeCode)
      span.setAttribute('error.type', reasonOf(error))
      span.setStatus({ code: SpanStatusCode.ERROR })
    }
    span.end()
  }
}

/** Of an embedded provider there is none. */
function addressOf({ origin }: Target): Record<string, string | number> {
  const url = URL.parse(origin)
  if (!url) return {}
  const port = url.port === '' ? (url.protocol === 'https:' ? 443 : 80) : Number(url.port)
  return { 'server.address': url.hostname, 'server.port': port }
}
