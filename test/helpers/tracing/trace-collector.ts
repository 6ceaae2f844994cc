import { once } from 'node:events'
import { createServer, type IncomingHttpHeaders } from 'node:http'
import { ProtobufFields } from './protobuf-fields.ts'

export type AttributeValue = string | number | boolean | AttributeValue[]
export type Attributes = Record<string, AttributeValue>

/** A span as a trace viewer shows it. */
export interface CollectedSpan {
  traceId: string
  spanId: string
  /** Empty: a root span. */
  parentId: string
  name: string
  kind: 'server' | 'client' | 'other'
  status: 'unset' | 'ok' | 'error'
  attributes: Attributes
  events: { name: string; at: bigint; attributes: Attributes }[]
  /** Nanoseconds since 1970. */
  start: bigint
  end: bigint
  resource: Attributes
}

export interface TraceCollector {
  /** The value of OTEL_EXPORTER_OTLP_ENDPOINT. */
  readonly url: string
  readonly spans: readonly CollectedSpan[]
  readonly headers: readonly IncomingHttpHeaders[]
  /** All requests received. */
  readonly bytes: Buffer
  /** Fulfilled with all spans for which this is true, once there are this many. */
  spansWhere(count: number, wanted: (span: CollectedSpan) => boolean): Promise<CollectedSpan[]>
  close(): Promise<void>
}

/**
 * An OpenTelemetry collector: receives spans by OTLP over HTTP, as protobuf. `status`: its response status; `answer`: its
 * response body; `hangs`: no response.
 */
export async function startCollector({
  status = 200,
  answer = Buffer.alloc(0),
  hangs = false,
}: {
  status?: number
  answer?: Buffer
  hangs?: boolean
} = {}): Promise<TraceCollector> {
  const spans: CollectedSpan[] = []
  const headers: IncomingHttpHeaders[] = []
  const received: Buffer[] = []
  const arrivals = new EventTarget()
  const server = createServer(async (request, response) => {
    const pieces: Buffer[] = []
    for await (const piece of request) pieces.push(piece)
    const body = Buffer.concat(pieces)
    received.push(body)
    headers.push(request.headers)
    if (request.url === '/v1/traces' && request.headers['content-type'] === 'application/x-protobuf') {
      spans.push(...spansIn(body))
    }
    arrivals.dispatchEvent(new Event('spans'))
    if (!hangs) response.writeHead(status, { 'content-type': 'application/x-protobuf' }).end(answer)
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  return {
    url: `http://127.0.0.1:${typeof address === 'object' && address ? address.port : 0}`,
    spans,
    headers,
    get bytes() {
      return Buffer.concat(received)
    },
    async spansWhere(count, wanted) {
      for (;;) {
        const found = spans.filter(wanted)
        if (found.length >= count) return found
        await once(arrivals, 'spans')
      }
    },
    async close() {
      const closed = once(server, 'close')
      server.close()
      server.closeAllConnections()
      await closed
    },
  }
}

/** Source of the field numbers: opentelemetry-proto, trace/v1/trace.proto and common/v1/common.proto. */
function spansIn(request: Buffer): CollectedSpan[] {
  return new ProtobufFields(request).messages(1).flatMap((resourceSpans) => {
    const resource = attributesIn(resourceSpans.message(1), 1)
    return resourceSpans
      .messages(2)
      .flatMap((scopeSpans) => scopeSpans.messages(2).map((span) => spanOf(span, resource)))
  })
}

const kinds = { 2: 'server', 3: 'client' } as const
const statuses = { 1: 'ok', 2: 'error' } as const

function spanOf(span: ProtobufFields, resource: Attributes): CollectedSpan {
  const kind = span.number(6)
  const status = span.message(15).number(3)
  return {
    traceId: span.bytes(1).toString('hex'),
    spanId: span.bytes(2).toString('hex'),
    parentId: span.bytes(4).toString('hex'),
    name: span.bytes(5).toString(),
    kind: kind === 2 || kind === 3 ? kinds[kind] : 'other',
    status: status === 1 || status === 2 ? statuses[status] : 'unset',
    attributes: attributesIn(span, 9),
    events: span.messages(11).map((event) => ({
      name: event.bytes(2).toString(),
      at: event.fixed64(1),
      attributes: attributesIn(event, 3),
    })),
    start: span.fixed64(7),
    end: span.fixed64(8),
    resource,
  }
}

function attributesIn(message: ProtobufFields, field: number): Attributes {
  return Object.fromEntries(
    message.messages(field).map((pair) => [pair.bytes(1).toString(), attributeOf(pair.message(2))]),
  )
}

function attributeOf(value: ProtobufFields): AttributeValue {
  if (value.has(1)) return value.bytes(1).toString()
  if (value.has(2)) return value.number(2) === 1
  if (value.has(4)) return value.double(4)
  if (value.has(5)) return value.message(5).messages(1).map(attributeOf)
  return value.number(3)
}
