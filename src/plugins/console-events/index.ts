import type { FastifyReply } from 'fastify'
import fp from 'fastify-plugin'
import type { Range } from '../../sdk/console/history.ts'
import { RouterError } from '../../sdk/errors.ts'
import { EventWriter } from '../status/event-writer.ts'
import { type ConsoleEvent, Snapshots } from './snapshots.ts'

declare module 'fastify' {
  interface FastifyInstance {
    consoleEvents: {
      /**
       * Streams the events of the console until it is ended. Throws RouterError `overloaded` if there are too many
       * listeners.
       */
      serve(reply: FastifyReply, range: Range): Promise<void>
    }
  }
}

const updateIntervalMs = 1_000
const heartbeatMs = 5_000
/** Each listener is an open connection. */
const maxListeners = 100

interface Listener {
  readonly range: Range
  readonly writer: EventWriter
  view(): 'operator' | 'viewer' | 'ended'
  /** It needs the full state, because it is new or was too slow. */
  isNew: boolean
}

/** Changes in the router, for the console. Idle without listeners; otherwise everything is read once for all of them. */
export default fp(
  (app, _options, done) => {
    const listeners = new Set<Listener>()
    let snapshots = new Snapshots(app)
    let timer: NodeJS.Timeout | undefined
    let isReading = false
    let beatAt = 0
    const leave = (listener: Listener): void => {
      listeners.delete(listener)
      if (listeners.size > 0) return
      clearInterval(timer)
      timer = undefined
    }
    const end = (listener: Listener, reason: string): void => {
      leave(listener)
      listener.writer.send(JSON.stringify({ reason }), 'end')
      listener.writer.end()
    }
    const endAll = (): void => {
      for (const listener of [...listeners]) end(listener, 'draining')
    }
    const send = (listener: Listener, events: readonly ConsoleEvent[]): void => {
      const view = listener.view()
      if (view === 'ended') {
        end(listener, 'session_ended')
        return
      }
      for (const { name, range, [view]: data } of events)
        if (range === undefined || range === listener.range) listener.writer.send(data, name)
    }
    const update = async (): Promise<void> => {
      const current = snapshots
      const events = await current.news([...new Set([...listeners].map(({ range }) => range))])
      // `snapshots` was replaced during the await: all listeners had left, and new ones start from the newer snapshots.
      if (current !== snapshots) return update()
      if (performance.now() - beatAt >= heartbeatMs) {
        beatAt = performance.now()
        const beat = JSON.stringify({ at: new Date().toISOString() })
        events.push({ name: 'heartbeat', operator: beat, viewer: beat })
      }
      const wholes = new Map<Range, Promise<ConsoleEvent[]>>()
      for (const listener of [...listeners]) {
        if (listener.writer.isBehind) listener.isNew = true
        else if (!listener.isNew) send(listener, events)
        else {
          const { range } = listener
          const whole = wholes.get(range) ?? current.whole(range)
          wholes.set(range, whole)
          const all = await whole
          listener.isNew = false
          if (listeners.has(listener)) send(listener, all)
        }
      }
    }
    const tick = async (): Promise<void> => {
      if (app.drain.active) return endAll()
      if (isReading) return
      isReading = true
      try {
        await update()
      } catch (error) {
        app.log.warn({ error: String(error) }, 'events for the console are delayed')
      } finally {
        isReading = false
      }
    }
    app.decorate('consoleEvents', {
      async serve(reply, range) {
        if (listeners.size >= maxListeners)
          throw new RouterError('overloaded', 'Too many clients are watching the console', {
            code: 'too_many_watchers',
          })
        const { request } = reply
        const view = app.rights.liveView(request, reply)
        const listener: Listener = { range, writer: new EventWriter(reply), view, isNew: true }
        if (listeners.size === 0) snapshots = new Snapshots(app)
        listeners.add(listener)
        timer ??= setInterval(() => void tick(), updateIntervalMs)
        reply.raw.once('close', () => leave(listener))
        request.exchange.signal.addEventListener('abort', () => listener.writer.end(), { once: true })
        await tick()
      },
    })
    app.addHook('preClose', (closed) => {
      endAll()
      clearInterval(timer)
      closed()
    })
    done()
  },
  { name: 'console-events', dependencies: ['status', 'activity', 'problems', 'auth', 'drain'] },
)
