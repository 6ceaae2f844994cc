import { Readable } from 'node:stream'
import type { FastifyRequest } from 'fastify'
import type { Operation } from '../../sdk/provider.ts'
import { estimatePromptTokens, textTokens, uploadTokens } from './prompt-estimate.ts'
import { askedTokens } from './token-cap.ts'

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
  /** Whether its route is known to ask a model. */
  asksModel: boolean
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

const generating: ReadonlySet<Operation> = new Set<Operation>(['chat', 'completion', 'responses'])

/** Of a request whose body has been read and checked. */
export function costOf(request: FastifyRequest): RequestCost {
  const { docs, upstreamCost } = request.routeOptions.config
  const operations = docs ? docs.operations : undefined
  const own = upstreamCost?.(request)
  const { answers, bounds } = askedTokens({ body: request.body, raw: request.rawBody })
  const requests = own?.requests ?? 1
  const isGenerating = operations?.some((operation) => generating.has(operation)) ?? true
  return {
    // Routes of extensions need no docs.
    asksModel: !request.is404 && (!docs || operations !== undefined),
    requests,
    atOnce: own?.atOnce ?? 1,
    promptTokens: own ? textTokens(own.promptBytes) : promptTokensOf(request),
    answers: isGenerating ? requests * answers : 0,
    maxTokens:
      bounds.length > 0
        ? Math.max(...bounds.map(({ tokens }) => tokens))
        : (own?.maxTokens ?? Number.POSITIVE_INFINITY),
  }
}

function promptTokensOf({ body, rawBody, headers, exchange }: FastifyRequest): number {
  // Not read yet.
  if (body instanceof Readable) return uploadTokens(Number(headers['content-length'] ?? 0))
  return rawBody ? estimatePromptTokens(rawBody.bytes, rawBody.scan) : textTokens(exchange.receivedBytes)
}
