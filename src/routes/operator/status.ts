import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import type { FastifyReply } from 'fastify'
import fp from 'fastify-plugin'
import { endpointPaths } from '../../lib/endpoint-paths.ts'
import { StatusSchema, withoutAddresses } from '../../sdk/console/status.ts'
import { type EndpointDocs, events, json } from '../../sdk/endpoint-docs.ts'

/** Status of the router and its targets, once or live as server-sent events. */
const plugin: FastifyPluginAsyncTypebox = async (app) => {
  const prefix = app.config.endpointPrefix
  for (const path of endpointPaths(prefix, { fixed: [], prefixed: ['/status'] })) {
    app.get(
      path,
      { config: { admin: true, docs }, schema: { response: { 200: StatusSchema } } },
      async (request, reply) => {
        reply.header('cache-control', 'no-store')
        const status = await app.status.readAll()
        return app.rights.isOperator(request, reply) ? status : withoutAddresses(status)
      },
    )
  }
  for (const path of endpointPaths(prefix, { fixed: [], prefixed: ['/status/events'] })) {
    // A HEAD request would stay open forever.
    const config = { admin: true, live: true, docs: eventsDocs } as const
    app.get(path, { config, exposeHeadRoute: false }, (request, reply) => {
      const viewNow = app.rights.liveView(request, reply)
      const events = eventStream(reply)
      const stop = app.statusEvents.listen({
        update(status) {
          const view = viewNow()
          if (view === 'ended') return events.end()
          events.send(JSON.stringify(view === 'operator' ? status : withoutAddresses(status)))
        },
        end: events.end,
      })
      const { exchange } = reply.request
      exchange.signal.addEventListener('abort', events.end, { once: true })
      reply.raw.once('close', stop)
    })
  }
}

export default fp(plugin, { name: 'routes/operator/status', encapsulate: true })

const docs: EndpointDocs = {
  id: 'status',
  tag: 'Operation',
  summary: 'Status of models and servers, and recent errors',
  answers: [json('The state of all processes.', StatusSchema)],
}

const eventsDocs: EndpointDocs = {
  id: 'statusEvents',
  tag: 'Operation',
  summary: 'Status as a stream of events',
  answers: [events('The state of all processes, about once a second.')],
}

/**
 * Writes server-sent events (WHATWG HTML, section 9.2). Headers are only sent with the first event, so that the request can be
 * rejected until then.
 */
function eventStream(reply: FastifyReply): { send(data: string): void; end(): void } {
  const { raw, request } = reply
  const begin = (): void => {
    reply.hijack()
    raw.writeHead(200, {
      ...(reply.getHeaders() as Record<string, string>), // the router sets only string headers
      'content-type': 'text/event-stream; charset=utf-8',
      'cache-control': 'no-store',
      // Otherwise nginx would buffer the events.
      'x-accel-buffering': 'no',
    })
    raw.write('retry: 2000\n\n')
  }
  return {
    send(data) {
      if (!raw.headersSent) begin()
      // A slow client skips events and gets the latest once it has caught up.
      if (raw.destroyed || raw.writableNeedDrain) return
      const event = `data: ${data}\n\n`
      request.exchange.bodyBytes += Buffer.byteLength(event)
      raw.write(event)
    },
    end: () => {
      if (!raw.destroyed) raw.end()
    },
  }
}
