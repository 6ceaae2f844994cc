import type { FastifyInstance, FastifyReply } from 'fastify'
import fp from 'fastify-plugin'
import { type Status, withoutAddresses } from '../../sdk/console/status.ts'
import { RouterError } from '../../sdk/errors.ts'
import { EventWriter } from './event-writer.ts'

/** Receives the status of all processes. */
export interface StatusListener {
  /** Called immediately, then about once per second. */
  update(status: Status): void
  /** Called when the process shuts down; no more calls follow. */
  end(): void
}

declare module 'fastify' {
  interface FastifyInstance {
    statusEvents: {
      /**
       * Streams the status to the client of a request until it may no longer see it. Throws RouterError `overloaded` if there are
       * too many listeners.
       */
      serve(reply: FastifyReply): void
      /** Returns a function that removes the listener. Throws as `serve` does. */
      listen(listener: StatusListener): () => void
      /** Current number of listeners. */
      readonly listeners: number
    }
  }
}

const updateIntervalMs = 1_000
/** Each listener is an open connection. */
const maxListeners = 100

/** Pushes the status to listeners periodically; idle without listeners. */
export default fp(
  (app, _options, done) => {
    const listeners = new Set<StatusListener>()
    let timer: NodeJS.Timeout | undefined
    let isReading = false
    const leave = (listener: StatusListener): void => {
      listeners.delete(listener)
      if (listeners.size > 0) return
      clearInterval(timer)
      timer = undefined
    }
    const endAll = (): void => {
      for (const listener of [...listeners]) {
        leave(listener)
        listener.end()
      }
    }
    const updateAll = async (): Promise<void> => {
      if (app.drain.active) return endWithUpdate()
      if (isReading) return
      isReading = true
      const status = await app.status.readAll()
      isReading = false
      for (const listener of listeners) listener.update(status)
    }
    /** Their open connections would otherwise delay the drain. */
    const endWithUpdate = (): void => {
      const status = app.status.read()
      for (const listener of listeners) listener.update(status)
      endAll()
    }
    app.decorate('statusEvents', {
      serve: (reply) => serve(app, reply),
      listen(listener) {
        if (listeners.size >= maxListeners)
          throw new RouterError('overloaded', 'Too many clients are watching the status', {
            code: 'too_many_watchers',
          })
        if (app.drain.active) {
          listener.update(app.status.read())
          listener.end()
          return () => undefined
        }
        listeners.add(listener)
        timer ??= setInterval(() => void updateAll(), updateIntervalMs)
        void app.status.readAll().then((status) => {
          if (listeners.has(listener)) listener.update(status)
        })
        return () => leave(listener)
      },
      get listeners() {
        return listeners.size
      },
    })
    app.addHook('preClose', (closed) => {
      endWithUpdate()
      closed()
    })
    done()
  },
  { name: 'status-events', dependencies: ['status', 'auth', 'drain'] },
)

function serve(app: FastifyInstance, reply: FastifyReply): void {
  const view = app.rights.liveView(reply.request, reply)
  const writer = new EventWriter(reply)
  const end = (): void => writer.end()
  const stop = app.statusEvents.listen({
    update(status) {
      const current = view()
      if (current === 'ended') return end()
      // A slow client skips events, and gets the latest one when it has caught up.
      if (!writer.isBehind)
        writer.send(JSON.stringify(current === 'operator' ? status : withoutAddresses(status)))
    },
    end,
  })
  reply.request.exchange.signal.addEventListener('abort', end, { once: true })
  reply.raw.once('close', stop)
}
