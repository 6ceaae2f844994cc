import type { FastifyInstance } from 'fastify'
import fp from 'fastify-plugin'
import { canCollectGarbage, collectGarbage } from '../../runtime/garbage-collector.ts'
import { RouterError } from '../../sdk/errors.ts'
import { HeapRoom, jsonMemoryBytes, mostPerByte } from './heap-room.ts'

declare module 'fastify' {
  interface FastifyInstance {
    shedding: {
      /** Requests that were refused so far. */
      readonly counts: Readonly<Record<ShedReason, number>>
      /** Throws when what a body becomes in memory would find no room. `bytes`: JSON that is not read yet. */
      checkRoom(bytes: Buffer): void
    }
  }
}

export type ShedReason = 'event_loop' | 'heap'

interface SheddingOptions {
  /** The options that Node was started with, for its memory. */
  nodeOptions: string
}

/** How often the delay and the heap are looked at, in milliseconds; a tenth of the smallest sensible limit. */
const lookMs = 100
/** And while no request runs: a process that has nothing to do should sleep. */
const idleLookMs = 1_000
/** After the event loop was late, for what has gathered in the sockets meanwhile, in milliseconds. */
const holdMs = 500
/** Collections of garbage that are asked for here stop the process: no more than this part of the time. */
const collectShare = 1 / 20
/** Smaller bodies are read without a look at the heap. */
const smallBytes = 256 * 1024
const retryAfterSeconds = 1

/**
 * Refuses new work while the process cannot keep up: its event loop turns late, or its heap is nearly full. What runs goes
 * on, and what is asked with GET (probes, metrics, status) is answered.
 */
export default fp(
  (app, { nodeOptions }: SheddingOptions, done) => {
    const { shedDelayMs, shedHeapPercent } = app.config
    const counts = { event_loop: 0, heap: 0 }
    const heap = new Heap(new HeapRoom(nodeOptions), shedHeapPercent / 100)
    let reason: ShedReason | undefined
    const refuse = (why: ShedReason): RouterError => {
      counts[why]++
      return overloaded()
    }
    app.decorate('shedding', {
      counts,
      checkRoom(bytes) {
        if (shedHeapPercent === 0 || bytes.length < smallBytes) return
        if (heap.holds(bytes.length * mostPerByte)) return
        const needed = jsonMemoryBytes(bytes)
        if (heap.hasRoom(needed)) return
        throw heap.couldHold(needed) ? refuse('heap') : tooLarge()
      },
    })
    if (shedDelayMs === 0 && shedHeapPercent === 0) return done()
    const onWork = watch(app, heap, (found) => {
      if (found === reason) return
      reason = found
      if (found === undefined) app.log.info('new requests are accepted again')
      else app.log.warn({ reason: found }, 'overloaded: new requests are rejected')
    })
    app.addHook('onRequest', (request, _reply, next) => {
      onWork()
      if (reason === undefined || request.method !== 'POST' || request.is404) return next()
      if (request.routeOptions.config.admin) return next()
      next(refuse(reason))
    })
    done()
  },
  { name: 'shedding', dependencies: ['config', 'exchange', 'errors', 'admin-port'] },
)

/**
 * Looks at the process again and again, from when it is ready to its end; says each time what it found. Call the result when
 * there is work.
 */
function watch(
  app: FastifyInstance,
  heap: Heap,
  onLook: (found: ShedReason | undefined) => void,
): () => void {
  const { shedDelayMs, shedHeapPercent } = app.config
  let timer: NodeJS.Timeout | undefined
  let dueAt = 0
  let idle = false
  let lateUntil = Number.NEGATIVE_INFINITY
  const look = (): void => {
    const now = performance.now()
    if (shedDelayMs > 0 && now - dueAt > shedDelayMs) lateUntil = now + holdMs
    const isBusy = app.exchanges.running > 0
    const found = lateOrFull(now < lateUntil, shedHeapPercent > 0 && heap.isFull(isBusy))
    onLook(found)
    wait(found === undefined && !isBusy)
  }
  const wait = (isIdle: boolean): void => {
    idle = isIdle
    const ms = idle ? idleLookMs : lookMs
    dueAt = performance.now() + ms
    timer = setTimeout(look, ms)
  }
  app.addHook('onReady', (ready) => {
    wait(true)
    ready()
  })
  app.addHook('onClose', (_instance, closed) => {
    clearTimeout(timer)
    closed()
  })
  return () => {
    if (!idle) return
    clearTimeout(timer)
    wait(false)
  }
}

function lateOrFull(late: boolean, full: boolean): ShedReason | undefined {
  if (full) return 'heap'
  return late ? 'event_loop' : undefined
}

class Heap {
  readonly #room: HeapRoom
  readonly #share: number
  /** No collection before this. */
  #collectFrom = Number.NEGATIVE_INFINITY

  /** `share`: of the heap that may be in use. */
  constructor(room: HeapRoom, share: number) {
    this.#room = room
    this.#share = share
  }

  /**
   * Above its limit; garbage does not count, except where collecting it would cost too much. While requests are refused nothing
   * is allocated, so V8 collects nothing by itself: where the garbage collector cannot be called, only a busy heap is full.
   */
  isFull(isBusy: boolean): boolean {
    if (this.#room.fullness(false) < this.#share) return false
    if (!canCollectGarbage()) return isBusy
    return !this.#collect() || this.#room.fullness(false) >= this.#share
  }

  hasRoom(bytes: number): boolean {
    if (this.holds(bytes)) return true
    if (!this.couldHold(bytes)) return false
    collectGarbage('minor')
    return this.holds(bytes) || (this.#collect() && this.holds(bytes))
  }

  /** Were it empty. */
  couldHold(bytes: number): boolean {
    return bytes < this.#room.limitBytes * this.#share
  }

  /** As it is, garbage included. */
  holds(bytes: number): boolean {
    return this.#room.fullness(true) + bytes / this.#room.limitBytes < this.#share
  }

  #collect(): boolean {
    const startedAt = performance.now()
    if (startedAt < this.#collectFrom) return false
    collectGarbage('major')
    const endedAt = performance.now()
    this.#collectFrom = endedAt + (endedAt - startedAt) / collectShare
    return true
  }
}

function overloaded(): RouterError {
  return new RouterError('overloaded', 'The router is overloaded', { code: 'overloaded', retryAfterSeconds })
}

function tooLarge(): RouterError {
  return new RouterError('too_large', 'The body has more parts than fit into memory', {
    code: 'request_too_large',
  })
}
