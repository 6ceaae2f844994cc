import { Readable } from 'node:stream'
import type { FastifyRequest } from 'fastify'
import { estimatePromptTokens, textTokens, uploadTokens } from '../../core/prompt-estimate.ts'
import type { Operation } from '../../core/provider.ts'
import { askedTokens } from '../../core/token-cap.ts'

/** What becomes of a request that is more than one upstream, or another one. */
export interface UpstreamCost {
  /** For how many requests it counts. */
  requests: number
  /** How many upstream requests would run at a time. */
  atOnce: number
  /** Of all their prompts together, in bytes. */
  promptBytes: number
  /** What bounds each answer where the request does not say it, in tokens. */
  maxTokens: number | undefined
}

/** What a request is about to cost its key. */
export interface RequestCost {
  /** For how many requests it counts, 1 at least. */
  requests: number
  /** How many upstream requests would run at a time, 1 at least. */
  atOnce: number
  /** Of all prompts together, estimated. */
  promptTokens: number
  /** Answers that models are to write, all together. */
  answers: number
  /** The most that each of them may have; infinite where nothing says it. */
  maxTokens: number
}

const nothing: RequestCost = {
  requests: 1,
  atOnce: 1,
  promptTokens: 0,
  answers: 0,
  maxTokens: Number.POSITIVE_INFINITY,
}
const generating: ReadonlySet<Operation> = new Set<Operation>(['chat', 'completion', 'responses'])

/** Of a request whose body has been read and checked. */
export function costOf(request: FastifyRequest): RequestCost {
  const { body, rawBody, headers, routeOptions, exchange } = request
  const { docs, upstreamCost } = routeOptions.config
  const operations = docs ? (docs.operations ?? []) : undefined
  // Without a word about it, a route is taken to ask a model.
  if (request.is404 || operations?.length === 0) return nothing
  if (body instanceof Readable)
    return { ...nothing, promptTokens: uploadTokens(Number(headers['content-length'] ?? 0)) }
  const own = upstreamCost?.(request)
  const { answers, bounds } = askedTokens({ body, raw: rawBody })
  const requests = own?.requests ?? 1
  const isGenerating = operations?.some((operation) => generating.has(operation)) ?? true
  const received = rawBody
    ? estimatePromptTokens(rawBody.bytes, rawBody.scan)
    : textTokens(exchange.receivedBytes)
  return {
    requests,
    atOnce: own?.atOnce ?? 1,
    promptTokens: own ? textTokens(own.promptBytes) : received,
    answers: isGenerating ? requests * answers : 0,
    maxTokens:
      bounds.length > 0
        ? Math.max(...bounds.map(({ tokens }) => tokens))
        : (own?.maxTokens ?? Number.POSITIVE_INFINITY),
  }
}
