import fp from 'fastify-plugin'
import { RouterError } from '../../sdk/errors.ts'
import type { Status } from '../../sdk/status.ts'

/** Hears how the router is, all its processes. */
export interface StatusListener {
  /** At once, and then about once a second. */
  tell(status: Status): void
  /** Nothing more will come: the process ends. */
  end(): void
}

declare module 'fastify' {
  interface FastifyInstance {
    statusEvents: {
      /** Gives the way to stop listening. Throws RouterError `overloaded` when too many listen already. */
      listen(listener: StatusListener): () => void
      /** How many listen now. */
      readonly listeners: number
    }
  }
}

const everyMs = 1_000
/** Each is an open connection. */
const maxListeners = 100

/** Tells the status to those who listen, and costs nothing while nobody does. */
export default fp(
  (app, _options, done) => {
    const listeners = new Set<StatusListener>()
    let timer: NodeJS.Timeout | undefined
    let asking = false
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
    const tellAll = async (): Promise<void> => {
      if (app.drain.active) return tellEnd()
      if (asking) return
      asking = true
      const status = await app.status.readAll()
      asking = false
      for (const listener of listeners) listener.tell(status)
    }
    /** With their open connections they would be what the drain waits for. */
    const tellEnd = (): void => {
      const status = app.status.read()
      for (const listener of listeners) listener.tell(status)
      endAll()
    }
    app.decorate('statusEvents', {
      listen(listener) {
        if (listeners.size >= maxListeners)
          throw new RouterError('overloaded', 'Too many are watching the status', {
            code: 'too_many_watchers',
          })
        if (app.drain.active) {
          listener.tell(app.status.read())
          listener.end()
          return () => undefined
        }
        listeners.add(listener)
        timer ??= setInterval(() => void tellAll(), everyMs)
        void app.status.readAll().then((status) => {
          if (listeners.has(listener)) listener.tell(status)
        })
        return () => leave(listener)
      },
      get listeners() {
        return listeners.size
      },
    })
    app.addHook('preClose', (closed) => {
      tellEnd()
      closed()
    })
    done()
  },
  { name: 'status-events', dependencies: ['status', 'drain'] },
)
