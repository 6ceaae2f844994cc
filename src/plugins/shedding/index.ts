import type { FastifyInstance } from 'fastify'
import fp from 'fastify-plugin'
import { canCollectGarbage, collectGarbage } from '../../runtime/garbage-collector.ts'
import { RouterError } from '../../sdk/errors.ts'
import { HeapRoom, jsonMemoryBytes, maxHeapPerByte } from './heap-room.ts'

declare module 'fastify' {
  interface FastifyInstance {
    shedding: {
      /** Number of rejected requests. */
      readonly counts: Readonly<Record<ShedReason, number>>
      /** Throws if the parsed body would exceed the heap limit. `bytes`: the unparsed JSON. */
      checkRoom(bytes: Buffer): void
    }
  }
}

export type ShedReason = 'event_loop' | 'heap'

interface SheddingOptions {
  /** Node's start options, which determine its heap limits. */
  nodeOptions: string
}

/** Sampling interval of event loop delay and heap, in milliseconds; a tenth of the smallest sensible limit. */
const checkMs = 100
/** Sampling interval while no request is running, so that an idle process can sleep. */
const idleCheckMs = 1_000
/**
 * How long requests are rejected after a late event loop turn, so that those queued in the sockets count as late too;
 * in milliseconds.
 */
const holdMs = 500
/** Maximum share of time spent on forced garbage collections, which block the process. */
const collectShare = 1 / 20
/** Smaller bodies are parsed without checking the heap. */
const smallBytes = 256 * 1024
const retryAfterSeconds = 1

/**
 * Load shedding: rejects new work while the event loop is late or the heap is nearly full. Running requests continue,
 * and GET requests (probes, metrics, status) are served.
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
        if (heap.holds(bytes.length * maxHeapPerByte)) return
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
 * Samples the process periodically from ready to close and reports each result. Call the returned function when there
 * is work.
 */
function watch(
  app: FastifyInstance,
  heap: Heap,
  onCheck: (found: ShedReason | undefined) => void,
): () => void {
  const { shedDelayMs, shedHeapPercent } = app.config
  let timer: NodeJS.Timeout | undefined
  let dueAt = 0
  let idle = false
  let lateUntil = Number.NEGATIVE_INFINITY
  let isLate = false
  const check = (): void => {
    const now = performance.now()
    // Hysteresis: the hold must not end while further long turns delay the requests that are already queued.
    const limitMs = isLate ? shedDelayMs / 2 : shedDelayMs
    if (shedDelayMs > 0 && now - dueAt > limitMs) lateUntil = now + holdMs
    isLate = now < lateUntil
    const isBusy = app.exchanges.running > 0
    const found = shedReason(isLate, shedHeapPercent > 0 && heap.isFull(isBusy))
    onCheck(found)
    wait(found === undefined && !isBusy)
  }
  const wait = (isIdle: boolean): void => {
    idle = isIdle
    const ms = idle ? idleCheckMs : checkMs
    dueAt = performance.now() + ms
    timer = setTimeout(check, ms)
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

function shedReason(late: boolean, full: boolean): ShedReason | undefined {
  if (full) return 'heap'
  return late ? 'event_loop' : undefined
}

class Heap {
  readonly #room: HeapRoom
  readonly #share: number
  /** Earliest time of the next forced collection. */
  #collectFrom = Number.NEGATIVE_INFINITY

  /** `share`: the usable share of the heap. */
  constructor(room: HeapRoom, share: number) {
    this.#room = room
    this.#share = share
  }

  /**
   * Above its limit; garbage does not count, unless collecting it would cost too much. While requests are rejected nothing
   * is allocated, so V8 does not collect by itself: if the garbage collector cannot be called, only a busy heap counts as full.
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

  /** Whether an empty heap would have room. */
  couldHold(bytes: number): boolean {
    return bytes < this.#room.limitBytes * this.#share
  }

  /** Whether the heap has room now, garbage included. */
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
  return new RouterError('too_large', 'The parsed body would not fit into memory', {
    code: 'request_too_large',
  })
}
