import { parentPort } from 'node:worker_threads'
import { gzipSync } from 'node:zlib'
import scalar from '@scalar/fastify-api-reference'
import fastify from 'fastify'

// The package exposes its script only through the route that serves it.
const source = fastify()
await source.register(scalar, { routePrefix: '/docs', configuration: { url: '/openapi.json' } })
const { rawPayload } = await source.inject('/docs/js/scalar.js')
const compressed = gzipSync(rawPayload)
parentPort?.postMessage(compressed, [])
await source.close()
