import { once } from 'node:events'
import { extname, join } from 'node:path'
import { Worker } from 'node:worker_threads'
import type { TSchema } from '@sinclair/typebox'
import fp from 'fastify-plugin'
import { version } from '../../lib/version.ts'
import { needsOperatorKey } from '../auth/operator-proof.ts'
import { dialectOfRoute } from '../errors/index.ts'
import { type DocumentedRoute, plainDocs } from './documented-route.ts'
import { openapiDocument } from './openapi.ts'

declare module 'fastify' {
  interface FastifyInstance {
    apiDocs: {
      /** Every route that clients of the main port reach, each method once; without the files of pages. */
      routes(): readonly DocumentedRoute[]
      /** The OpenAPI document as JSON text; `server` is the way from its address to the router's root. Made when first asked for. */
      openapi(server: string): string
      /** The script that draws the page, compressed with gzip; read when it is first asked for. */
      pageScript(): Promise<Buffer>
    }
  }
}

/** Keeps what the routes say of themselves, at no cost of requests; the document is made from it on demand. */
export default fp(
  (app, _options, done) => {
    const { endpointPrefix, adminPort, authEnabled } = app.config
    const registered: DocumentedRoute[] = []
    app.addHook('onRoute', ({ url, method, schema, config }) => {
      if (config?.docs === false) return
      for (const name of [method].flat()) {
        registered.push({
          method: name,
          url,
          body: schema?.body as TSchema | undefined, // plugins/validation.ts compiles it as one
          dialect: dialectOfRoute(config ?? {}, url, endpointPrefix),
          admin: config?.admin ?? false,
          operator: needsOperatorKey(name, config),
          docs: config?.docs ?? plainDocs(name, url),
        })
      }
    })
    // Fastify adds a HEAD to every GET. What is on a port of its own is none of the clients' business.
    const routes = (): DocumentedRoute[] => {
      const gets = new Set(registered.flatMap(({ method, url }) => (method === 'GET' ? [url] : [])))
      return registered.filter(
        ({ method, url, admin }) => !(method === 'HEAD' && gets.has(url)) && !(admin && adminPort > 0),
      )
    }
    const texts = new Map<string, string>()
    let script: Promise<Buffer> | undefined
    app.decorate('apiDocs', {
      routes,
      openapi(server) {
        const text =
          texts.get(server) ??
          JSON.stringify(openapiDocument(routes(), { version, server, keys: authEnabled }))
        texts.set(server, text)
        return text
      },
      pageScript() {
        script ??= loadPageScript().catch((error: unknown) => {
          script = undefined
          throw error
        })
        return script
      },
    })
    done()
  },
  { name: 'api-docs', dependencies: ['config'] },
)

/**
 * Scalar's script for the page, compressed with gzip. Its package is a module of 5 MB: it is read in a thread of its own,
 * which neither keeps answers waiting nor stays in memory.
 */
export async function loadPageScript(): Promise<Buffer> {
  // In dist/ it is JavaScript.
  const file = `page-script-worker${extname(import.meta.filename)}`
  const worker = new Worker(join(import.meta.dirname, file))
  const [bytes] = await once(worker, 'message')
  if (!(bytes instanceof Uint8Array)) throw new Error('the script of the page could not be read')
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
}
