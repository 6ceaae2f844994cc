import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import type { FastifyReply } from 'fastify'
import { endpointPaths } from '../../lib/endpoint-paths.ts'
import { type EndpointDocs, events, json } from '../../sdk/endpoint-docs.ts'
import { StatusSchema } from '../../sdk/status.ts'

/** How the router and its targets are: once, and live as server-sent events. */
const plugin: FastifyPluginAsyncTypebox = async (app) => {
  const prefix = app.config.endpointPrefix
  for (const path of endpointPaths(prefix, { fixed: [], prefixed: ['/status'] })) {
    app.get(
      path,
      { config: { admin: true, docs }, schema: { response: { 200: StatusSchema } } },
      (_request, reply) => {
        reply.header('cache-control', 'no-store')
        return app.status.readAll()
      },
    )
  }
  for (const path of endpointPaths(prefix, { fixed: [], prefixed: ['/status/events'] })) {
    // A HEAD would listen for ever.
    app.get(
      path,
      { config: { admin: true, docs: eventsDocs }, exposeHeadRoute: false },
      (_request, reply) => {
        const events = eventStream(reply)
        const stop = app.statusEvents.listen({
          tell: (status) => events.send(JSON.stringify(status)),
          end: events.end,
        })
        const { exchange } = reply.request
        exchange.signal.addEventListener('abort', events.end, { once: true })
        reply.raw.once('close', stop)
      },
    )
  }
}

export default plugin

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
 * An answer in the format of the HTML standard, section 9.2, "Server-sent events". Its head goes out with the first
 * event: until then it can still be refused.
 */
function eventStream(reply: FastifyReply): { send(data: string): void; end(): void } {
  const { raw, request } = reply
  const begin = (): void => {
    reply.hijack()
    raw.writeHead(200, {
      ...(reply.getHeaders() as Record<string, string>), // the router sets no other kind
      'content-type': 'text/event-stream; charset=utf-8',
      'cache-control': 'no-store',
      // nginx would otherwise collect the events.
      'x-accel-buffering': 'no',
    })
    raw.write('retry: 2000\n\n')
  }
  return {
    send(data) {
      if (!raw.headersSent) begin()
      // Who reads slowly gets the newest when it is ready, not all that it missed.
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
