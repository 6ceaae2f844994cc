import { type Span, SpanStatusCode } from '@opentelemetry/api'
import { type AttemptResult, outcomeOf } from '../../relay/attempt/attempt-result.ts'
import type { AttemptTrace, TraceHeaders } from '../../relay/trace.ts'
import type { Usage } from '../../sdk/chat.ts'
import type { Operation } from '../../sdk/operation.ts'
import type { Target } from '../../sdk/target.ts'
import { reasonOf } from '../metrics/labels.ts'

/** Operation names of OpenTelemetry's conventions; operations without one keep the router's name. */
const operationNames: Readonly<Partial<Record<Operation, string>>> = {
  completion: 'text_completion',
  responses: 'chat',
  embedding: 'embeddings',
}

/**
 * Span of one attempt. Attribute names follow OpenTelemetry's conventions for generative AI ("GenAI spans"), HTTP and
 * errors; others begin with `llm_router.`. Contains no prompt or response text.
 */
export class AttemptSpan implements AttemptTrace {
  readonly #span: Span
  readonly #headers: TraceHeaders
  readonly #target: Target
  readonly #startedAt: number
  readonly #scan: AnswerScan
  #dispatchedAt: number
  #hasContent = false

  constructor(span: Span, headers: TraceHeaders, target: Target) {
    this.#span = span
    this.#headers = headers
    this.#target = target
    this.#startedAt = performance.now()
    this.#dispatchedAt = this.#startedAt
    this.#scan = new AnswerScan(target.type.dialect)
    span.setAttributes({
      'gen_ai.provider.name': target.type.name,
      'gen_ai.request.model': target.upstreamModel,
      'llm_router.model': target.model,
      'llm_router.target': target.id,
      ...addressOf(target),
    })
  }

  dispatched(operation: Operation, stream: boolean): TraceHeaders {
    const name = operationNames[operation] ?? operation
    this.#dispatchedAt = performance.now()
    this.#span.updateName(`${name} ${this.#target.upstreamModel}`)
    this.#span.setAttribute('gen_ai.operation.name', name)
    if (stream) this.#span.setAttribute('gen_ai.request.stream', true)
    return this.#headers
  }

  contentSeen(): void {
    if (this.#hasContent) return
    this.#hasContent = true
    const seconds = (performance.now() - this.#dispatchedAt) / 1000
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

  /** An attempt ended by a disconnected client has not failed: it says nothing about its target. */
  end(result: AttemptResult | undefined): void {
    const error = result?.type === 'failure' ? result.error : undefined
    const span = this.#span
    const { id, model, finishReasons } = this.#scan.facts
    if (id !== undefined) span.setAttribute('gen_ai.response.id', id)
    if (model !== undefined) span.setAttribute('gen_ai.response.model', model)
    if (finishReasons.length > 0) span.setAttribute('gen_ai.response.finish_reasons', finishReasons)
    span.setAttribute('llm_router.result', outcomeOf(result))
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

/** Empty for an embedded provider. */
function addressOf({ origin }: Target): Record<string, string | number> {
  const url = URL.parse(origin)
  if (!url) return {}
  const port = url.port === '' ? (url.protocol === 'https:' ? 443 : 80) : Number(url.port)
  return { 'server.address': url.hostname, 'server.port': port }
}

/** What the upstream's response says about itself. */
export interface AnswerFacts {
  id?: string
  model?: string
  finishReasons: string[]
}

/**
 * Key of the finish reason by dialect. Checked per dialect, because vLLM has a `stop_reason` too, which holds a string
 * from the client.
 */
const reasonKeys: Readonly<Record<string, string>> = {
  anthropic: '"stop_reason"',
  gemini: '"finishReason"',
  ollama: '"done_reason"',
}
const openaiReasonKey = '"finish_reason"'
const modelKey = Buffer.from('"model"')
const idKey = Buffer.from('"id"')
/** Prefixes of response ids; tool calls have ids too. */
const answerId = /^(?:chatcmpl|cmpl|msg|resp)[-_]/
const maxValueBytes = 256
/** A chunk boundary can split a key and its value, so this many bytes are searched again. */
const tailBytes = maxValueBytes + 64
/** The members are near the start and the end; between them may be megabytes of vectors. */
const maxSearchedBytes = 64 * 1024
const quote = 0x22
const maxReasons = 16

/**
 * Finds a few members in a response as it passes, in any dialect. It searches instead of parsing: accurate enough for
 * traces, and a stream must not be parsed twice. Keys inside a JSON string have escaped quotes, so they never match.
 */
export class AnswerScan {
  readonly facts: AnswerFacts = { finishReasons: [] }
  readonly #reasonKey: Buffer
  #tail: Buffer = Buffer.alloc(0)

  /** `dialect`: the upstream's. */
  constructor(dialect: string) {
    this.#reasonKey = Buffer.from(reasonKeys[dialect] ?? openaiReasonKey)
  }

  push(chunk: Buffer): void {
    if (chunk.length > 2 * maxSearchedBytes) {
      this.#search(chunk.subarray(0, maxSearchedBytes))
      this.#tail = Buffer.alloc(0)
      this.#search(chunk.subarray(-maxSearchedBytes))
    } else {
      this.#search(chunk)
    }
  }

  #search(chunk: Buffer): void {
    const { facts } = this
    const known = this.#tail.length
    const bytes = known === 0 ? chunk : Buffer.concat([this.#tail, chunk])
    if (facts.model === undefined) {
      const [model] = valuesOf(bytes, modelKey, known)
      if (model !== undefined) facts.model = model
    }
    if (facts.id === undefined) {
      const id = valuesOf(bytes, idKey, known).find((value) => answerId.test(value))
      if (id !== undefined) facts.id = id
    }
    for (const reason of valuesOf(bytes, this.#reasonKey, known)) {
      if (facts.finishReasons.length < maxReasons) facts.finishReasons.push(reason)
    }
    // Copied, because a slice would retain the whole network chunk.
    this.#tail = Buffer.from(bytes.subarray(-tailBytes))
  }
}

/** String values of the key that end after `known`; earlier ones were found in the previous search. */
function valuesOf(bytes: Buffer, key: Buffer, known: number): string[] {
  const values: string[] = []
  for (let at = bytes.indexOf(key); at !== -1; at = bytes.indexOf(key, at + key.length)) {
    const start = valueAt(bytes, at + key.length)
    if (start === undefined) continue
    const end = bytes.indexOf(quote, start)
    if (end >= known && end > start && end - start <= maxValueBytes)
      values.push(bytes.toString('utf8', start, end))
  }
  return values
}

/** Start of the string value that follows a key; undefined if the value is no string. */
function valueAt(bytes: Buffer, from: number): number | undefined {
  const { length = 0 } = /^\s*:\s*"/.exec(bytes.toString('latin1', from, from + 16))?.[0] ?? ''
  return length === 0 ? undefined : from + length
}
