import type { IncomingHttpHeaders } from 'node:http'
import { type Readable, Transform } from 'node:stream'
import { getHeapStatistics } from 'node:v8'
import type { FastifyRequest } from 'fastify'
import fp from 'fastify-plugin'
import { RouterError, tooLarge } from '../sdk/errors.ts'
import { clientAddress } from './auth/client-address.ts'

declare module 'fastify' {
  interface FastifyInstance {
    admission: {
      /** Bytes of request bodies that are being read or are kept for a running request. */
      readonly heldBytes: number
      readonly budgetBytes: number
    }
  }
}

/**
 * Default budget as a share of the heap limit, without LLM_ROUTER_BODY_BUDGET: reading a body takes several times its
 * size.
 */
const shareOfHeap = 1 / 8
/**
 * What a client may hold with several bodies, as a multiple of what it leaves to the others: at most four fifths of the budget,
 * however slowly it sends.
 */
const maxShareOfFree = 4
const retryAfterSeconds = 1

/**
 * Limits the total bytes of all request bodies in memory. A body counts from when its length is announced, or its
 * chunks arrive, until its exchange ends, because it is kept for a retry on another target. A body that exceeds the
 * budget, or its client's share, is rejected before it is read.
 */
export default fp(
  (app, _options, done) => {
    const wanted = app.config.bodyBudgetBytes || Math.floor(getHeapStatistics().heap_size_limit * shareOfHeap)
    // The largest single body always has to fit, and must leave room for others.
    const least = Math.ceil(app.config.bodyLimitBytes * (1 + 1 / maxShareOfFree))
    const budget = new Budget(Math.max(wanted, least))
    app.decorate('admission', budget)
    app.addHook('preParsing', (request, reply, payload, next) => {
      const announced = announcedBytes(request.raw.headers)
      if (announced === 0 || reply.raw.destroyed) return next()
      if (request.method === 'GET' || request.method === 'HEAD') {
        // Nothing reads this body, so the connection cannot be reused for another request.
        reply.header('connection', 'close')
        return next()
      }
      if (announced !== undefined && announced > request.routeOptions.bodyLimit) return next(tooLarge())
      const share = budget.openShare(request.exchange.client ?? clientAddress(request))
      reply.raw.on('close', share.release)
      if (announced !== undefined && !share.reserve(announced)) return next(noRoom())
      if (awaitsContinue(request)) reply.raw.writeContinue()
      if (announced === undefined) return next(null, limited(payload, share.reserve))
      next()
    })
    done()
  },
  { name: 'admission', dependencies: ['config', 'errors'] },
)

class Budget {
  readonly budgetBytes: number
  #heldBytes = 0
  readonly #ofClient = new Map<string, number>()

  constructor(budgetBytes: number) {
    this.budgetBytes = budgetBytes
  }

  get heldBytes(): number {
    return this.#heldBytes
  }

  /** The bytes that one request holds. After `release`, `reserve` has no effect. */
  openShare(client: string): { reserve(bytes: number): boolean; release(): void } {
    let reserved: number | undefined = 0
    return {
      reserve: (bytes) => {
        if (reserved === undefined) return true
        const held = this.#ofClient.get(client) ?? 0
        const free = this.budgetBytes - this.#heldBytes - bytes
        const isOnly = held === reserved
        if (free < 0 || (!isOnly && held + bytes > free * maxShareOfFree)) return false
        reserved += bytes
        this.#add(client, bytes)
        return true
      },
      release: () => {
        this.#add(client, -(reserved ?? 0))
        reserved = undefined
      },
    }
  }

  #add(client: string, bytes: number): void {
    this.#heldBytes += bytes
    const held = (this.#ofClient.get(client) ?? 0) + bytes
    if (held === 0) this.#ofClient.delete(client)
    else this.#ofClient.set(client, held)
  }
}

/** Length of the body in bytes; undefined when it is known only after the last chunk. */
function announcedBytes(headers: IncomingHttpHeaders): number | undefined {
  if (headers['transfer-encoding'] !== undefined) return undefined
  return Number(headers['content-length'] ?? 0)
}

/** RFC 9110, section 10.1.1: the client waits for `100 Continue` before it sends its body. */
function awaitsContinue({ raw }: FastifyRequest): boolean {
  return raw.httpVersion === '1.1' && raw.headers.expect !== undefined
}

/**
 * Passes the payload through. Fails as soon as the budget is exhausted, or when the payload closes before its end, as it does when
 * its client disconnects. The payload itself is never destroyed, because its socket still has to carry the error.
 */
function limited(payload: Readable, reserve: (bytes: number) => boolean): Readable {
  const counter = new Transform({
    transform(chunk: Buffer, _encoding, pass) {
      if (reserve(chunk.length)) pass(null, chunk)
      else pass(noRoom())
    },
  })
  // Not every route reads its body, and an error without a listener would end the process.
  counter.on('error', () => undefined)
  payload.once('close', () => {
    if (!payload.readableEnded) counter.destroy(new Error('the client disconnected'))
  })
  return payload.pipe(counter)
}

function noRoom(): RouterError {
  return new RouterError('overloaded', 'Too many large requests are in progress', {
    code: 'body_budget_exceeded',
    retryAfterSeconds,
  })
}
