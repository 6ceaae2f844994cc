import { randomBytes } from 'node:crypto'
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import type { ClientKey, KeyLimits } from '../../core/client-key.ts'
import { RouterError } from '../../core/errors.ts'
import type { Limited, LimitVerdict } from '../../core/key-limits.ts'
import { spentTokens } from '../../core/spent-tokens.ts'
import { limitHeaders } from './limit-headers.ts'
import { limitStoreOf } from './limit-store.ts'

/** Lets a request of a key with limits go on, or throws the error that tells which one it has reached. */
export type UseLimits = (
  client: ClientKey,
  limits: KeyLimits,
  request: FastifyRequest,
  reply: FastifyReply,
) => Promise<void>

/** The place of a request is given back at the close of its response, the one event that always comes. */
export function useLimits(app: FastifyInstance): UseLimits {
  const store = limitStoreOf(app)
  app.addHook('onClose', () => store.close())
  const process = randomBytes(6).toString('hex')
  let count = 0
  return async ({ id }, limits, request, reply) => {
    const wish = { key: id, ticket: `${process}-${++count}`, limits }
    const closed = Promise.withResolvers<void>()
    reply.raw.once('close', closed.resolve)
    const verdict = await store.admit(wish)
    reply.headers(limitHeaders(app.errorDialectOf(request), verdict, limits))
    if (verdict.refusedBy !== undefined) throw refusal(verdict.refusedBy, verdict)
    // Also when the client has left meanwhile.
    void closed.promise.then(() => store.leave({ ...wish, tokens: tokensOf(request) }))
  }
}

function tokensOf({ exchange, headers }: FastifyRequest): number {
  const isJson = /json/i.test(headers['content-type'] ?? 'json')
  return spentTokens({
    usage: exchange.usage,
    attempts: exchange.attempts,
    served: exchange.error === undefined || exchange.error.kind === 'client_gone',
    requestBytes: isJson ? Number(headers['content-length'] ?? 0) : 0,
    streamedBytes: exchange.stream ? exchange.bodyBytes : 0,
  })
}

const words: Readonly<Record<Limited, { what: string; causeCode: string }>> = {
  concurrent: { what: 'as many requests at a time as it may', causeCode: 'KEY_CONCURRENT' },
  requests: { what: 'as many requests a minute as it may', causeCode: 'KEY_REQUESTS' },
  tokens: { what: 'as many tokens a minute as it may', causeCode: 'KEY_TOKENS' },
}

function refusal(limited: Limited, { waitMs }: LimitVerdict): RouterError {
  const { what, causeCode } = words[limited]
  return new RouterError('rate_limit', `This key has ${what}`, {
    code: 'rate_limit_exceeded',
    causeCode,
    // Not to the millisecond: what is told is then true for all clocks.
    retryAfterSeconds: Math.max(1, Math.ceil(waitMs / 1000)),
  })
}
