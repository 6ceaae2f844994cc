import { Readable } from 'node:stream'
import type { FastifyRequest } from 'fastify'
import type { Operation } from '../../sdk/operation.ts'
import { estimatePromptTokens, textTokens, uploadTokens } from './prompt-estimate.ts'
import { requestedTokens } from './token-cap.ts'

/** Upstream cost of a request that causes several upstream requests, or a different one. */
export interface UpstreamCost {
  /** Number of requests it counts for. */
  requests: number
  /** Upstream requests that would run concurrently. */
  atOnce: number
  /** Size of all prompts together. */
  promptBytes: number
  /** Maximum tokens per response where the request sets none. */
  maxTokens: number | undefined
}

/** Expected cost of a request for its key. */
export interface RequestCost {
  /** Whether the route uses a model. */
  usesModel: boolean
  /** Number of requests it counts for, at least 1. */
  requests: number
  /** Upstream requests that would run concurrently, at least 1. */
  atOnce: number
  /** Estimated tokens of all prompts together. */
  promptTokens: number
  /** Responses to generate in total. */
  answers: number
  /** Maximum tokens per response; Infinity without a maximum. */
  maxTokens: number
}

const generating: ReadonlySet<Operation> = new Set<Operation>(['chat', 'completion', 'responses', 'infill'])

/** Call after the body has been read and validated. */
export function costOf(request: FastifyRequest): RequestCost {
  const { docs, upstreamCost } = request.routeOptions.config
  const operations = docs ? docs.operations : undefined
  const own = upstreamCost?.(request)
  const { answers, bounds } = requestedTokens({ body: request.body, raw: request.rawBody })
  const requests = own?.requests ?? 1
  const isGenerating = operations?.some((operation) => generating.has(operation)) ?? true
  return {
    // Routes of extensions need no docs.
    usesModel: !request.is404 && (!docs || operations !== undefined),
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
  // The body has not been read yet.
  if (body instanceof Readable) return uploadTokens(Number(headers['content-length'] ?? 0))
  return rawBody ? estimatePromptTokens(rawBody.bytes, rawBody.scan) : textTokens(exchange.receivedBytes)
}
