import { randomBytes } from 'node:crypto'
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import type { ClientKey, KeyLimits } from '../../sdk/client-key.ts'
import { RouterError } from '../../sdk/errors.ts'
import { openLimits } from '../../stores/choose.ts'
import {
  type LimitDecision,
  type LimitedRequest,
  type LimitKind,
  limitWindowMs,
} from '../../stores/limits/store.ts'
import { requestedModel } from '../models/requested-model.ts'
import { AnswerSizes } from './answer-sizes.ts'
import { groupScope } from './directory-keys.ts'
import { LimitUse } from './limit-use.ts'
import { LimitedQuestion, type QuestionCost, type QuestionUse } from './question-use.ts'

/** Remainder of one limit of a client or of a group above it. */
export interface LimitLeft {
  /** The group that shares the limit; null for the client's own. */
  group: string | null
  limit: 'max_concurrent' | 'requests_per_minute' | 'tokens_per_minute'
  most: number
  left: number
  /** Until all of it is available again, if nothing is used; null: as soon as running requests end. */
  full_in_seconds: number | null
}

export interface UseLimits {
  /** Remaining limits of a client and its groups. */
  left(client: ClientKey): Promise<LimitLeft[]>
  /** Admits a request of a key with limits. Throws 429 that names the exceeded limit. */
  admit(client: ClientKey, limits: KeyLimits, request: FastifyRequest, reply: FastifyReply): Promise<void>
  /** Reserves the expected usage of an admitted request. Throws 429 as `admit` does. */
  reserve(use: LimitUse, request: FastifyRequest, reply: FastifyReply): Promise<void>
  /** Admits an internal call and reserves its tokens. Throws 429 as `admit` does. */
  begin(
    client: ClientKey,
    limits: KeyLimits,
    request: FastifyRequest,
    cost: QuestionCost,
  ): Promise<QuestionUse>
}

/** Releases what a request holds when its response closes, the only event that is always emitted. */
export function useLimits(app: FastifyInstance): UseLimits {
  const store = openLimits(app)
  app.addHook('onClose', () => store.close())
  const sizes = new AnswerSizes()
  const process = randomBytes(6).toString('hex')
  let count = 0
  const limitedRequestOf = ({ id, limitScopes }: ClientKey, limits: KeyLimits): LimitedRequest => ({
    key: id,
    ...(limitScopes ? { scopes: limitScopes } : {}),
    ticket: `${process}-${++count}`,
    limits,
  })
  return {
    async left({ id, limits, limitScopes }) {
      const scopes = limitScopes ?? (limits ? [{ key: id, limits }] : [])
      const states = await Promise.all(
        scopes.map(async (scope) => ({ ...scope, state: await store.read(scope) })),
      )
      return states.flatMap(({ key, limits: most, state }) =>
        limitNames.flatMap(([kind, limit]): LimitLeft[] => {
          const [now, upTo] = [state[kind], most[kind]]
          if (!now || upTo === undefined) return []
          const seconds = 'fullInMs' in now ? Math.max(0, Math.ceil(now.fullInMs / 1000)) : null
          const group = key.startsWith(groupScope) && key !== id ? key.slice(groupScope.length) : null
          return [{ group, limit, most: upTo, left: now.left, full_in_seconds: seconds }]
        }),
      )
    },
    async begin(client, limits, request, cost) {
      await request.limitUse?.handOver()
      const limited = limitedRequestOf(client, limits)
      const verdict = await store.admit(limited)
      if (verdict.rejectedBy !== undefined) throw refusal(verdict.rejectedBy, verdict)
      const use = new LimitedQuestion({ store, sizes, limited, cost })
      const reservation = await use.reserve()
      if (reservation.rejectedBy !== undefined) throw refusal(reservation.rejectedBy, reservation)
      return use
    },
    async admit(client, limits, request, reply) {
      const limited = limitedRequestOf(client, limits)
      const use = new LimitUse({ store, sizes, limited, request })
      const closed = Promise.withResolvers<() => Promise<void>>()
      reply.raw.once('close', () => {
        const end = use.end()
        closed.resolve(() => use.settle(end))
      })
      const verdict = await store.admit(limited)
      setLimitHeaders(app, verdict, limits, reply)
      if (verdict.rejectedBy !== undefined) throw refusal(verdict.rejectedBy, verdict)
      request.limitUse = use
      // Also runs if the client has disconnected meanwhile.
      void closed.promise.then((settle) => settle())
    },
    async reserve(use, request, reply) {
      if (use.hasEnded) return
      const demand = use.demand(requestedModel(app, request))
      const { limits } = use.limited
      if (limits.requests !== undefined && demand.requests > limits.requests) {
        use.refuse()
        throw tooManyAtOnce(demand.requests, limits.requests)
      }
      const verdict = await use.reserve(demand)
      setLimitHeaders(app, verdict, limits, reply)
      if (verdict.rejectedBy !== undefined) throw refusal(verdict.rejectedBy, verdict)
    },
  }
}

const limitNames = [
  ['concurrent', 'max_concurrent'],
  ['requests', 'requests_per_minute'],
  ['tokens', 'tokens_per_minute'],
] as const

function setLimitHeaders(
  app: FastifyInstance,
  verdict: LimitDecision,
  limits: KeyLimits,
  reply: FastifyReply,
): void {
  reply.headers(limitHeaders(app.errorDialectOf(reply.request), verdict, limits))
}

const words: Readonly<Record<LimitKind, { what: string; causeCode: string }>> = {
  concurrent: { what: 'concurrent requests', causeCode: 'KEY_CONCURRENT' },
  requests: { what: 'requests per minute', causeCode: 'KEY_REQUESTS' },
  tokens: { what: 'tokens per minute', causeCode: 'KEY_TOKENS' },
}

function refusal(limited: LimitKind, { waitMs }: LimitDecision): RouterError {
  const { what, causeCode } = words[limited]
  return new RouterError('rate_limit', `This key has reached its limit of ${what}`, {
    code: 'rate_limit_exceeded',
    causeCode,
    // Rounded up to seconds, so that it holds on every clock.
    retryAfterSeconds: Math.max(1, Math.ceil(waitMs / 1000)),
  })
}

function tooManyAtOnce(requests: number, most: number): RouterError {
  const message = `These texts count as ${requests} requests, and this key may send ${most} per minute: send fewer at a time`
  return new RouterError('rate_limit', message, {
    code: 'rate_limit_exceeded',
    causeCode: words.requests.causeCode,
    retryAfterSeconds: limitWindowMs / 1000,
    // The same request can never succeed.
    shouldRetry: false,
  })
}

/**
 * Headers with the remaining limits of a key, named as in the dialect. Sources: OpenAI API guides, "Rate limits";
 * Anthropic API reference, "Rate limits"; for Ollama, which has none, draft-ietf-httpapi-ratelimit-headers-06.
 */
export function limitHeaders(
  dialect: string,
  { requests, tokens }: Pick<LimitDecision, 'requests' | 'tokens'>,
  limits: KeyLimits,
): Record<string, string> {
  const rows = [
    { what: 'requests', most: limits.requests, now: requests },
    { what: 'tokens', most: limits.tokens, now: tokens },
  ]
  const headers: Record<string, string> = {}
  for (const { what, most, now } of rows) {
    if (most === undefined || !now) continue
    for (const [name, value] of namesOf(dialect, what, most, now)) headers[name] ??= value
  }
  return headers
}

/** A year. */
const longestWaitSeconds = 365 * 24 * 3600

function namesOf(
  dialect: string,
  what: string,
  most: number,
  { left, fullInMs }: { left: number; fullInMs: number },
): [string, string][] {
  const seconds = Math.min(longestWaitSeconds, Math.max(0, Math.ceil(fullInMs / 1000)))
  if (dialect === 'anthropic') {
    const reset = new Date(Date.now() + seconds * 1000).toISOString().replace(/\.\d+Z$/, 'Z')
    const head = `anthropic-ratelimit-${what}`
    return [
      [`${head}-limit`, String(most)],
      [`${head}-remaining`, String(left)],
      [`${head}-reset`, reset],
    ]
  }
  if (dialect === 'ollama') {
    return [
      ['ratelimit-limit', String(most)],
      ['ratelimit-remaining', String(left)],
      ['ratelimit-reset', String(seconds)],
    ]
  }
  return [
    [`x-ratelimit-limit-${what}`, String(most)],
    [`x-ratelimit-remaining-${what}`, String(left)],
    [`x-ratelimit-reset-${what}`, `${seconds}s`],
  ]
}
