import { once } from 'node:events'
import { extname, join } from 'node:path'
import { Worker } from 'node:worker_threads'
import type { TSchema } from '@sinclair/typebox'
import fp from 'fastify-plugin'
import { version } from '../../lib/version.ts'
import type { Operation } from '../../sdk/operation.ts'
import type { Model } from '../../sdk/target.ts'
import { isForOperators, neededRole, needsOperatorKey } from '../auth/route-audience.ts'
import { dialectOfRoute } from '../errors/index.ts'
import { type DocumentedRoute, plainDocs } from './documented-route.ts'
import { type ExampleModel, openapiDocument } from './openapi.ts'

declare module 'fastify' {
  interface FastifyInstance {
    apiDocs: {
      /** Every route that clients reach on the main port, once per method; without the static files of the pages. */
      routes(): readonly DocumentedRoute[]
      /**
       * The OpenAPI document as JSON, built on first use. `server`: relative URL from the document to the router's
       * root. `models`: those that may be named in examples, all by default.
       */
      openapi(server: string, models?: readonly Model[]): string
      /** The script that renders the page, gzip-compressed; loaded on first use. */
      pageScript(): Promise<Buffer>
    }
  }
}

/**
 * Collects what the routes declare when they are registered. The document is built on demand, so requests pay nothing.
 */
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
          body: config?.documentedBody ?? (schema?.body as TSchema | undefined), // plugins/validation.ts compiles it as a TypeBox schema
          dialect: config?.errors ?? dialectOfRoute(config ?? {}, url, endpointPrefix),
          admin: config?.admin ?? false,
          operator: needsOperatorKey(name, config),
          role: isForOperators(config) && !config?.open ? neededRole(name, config) : undefined,
          docs: config?.docs ?? plainDocs(name, url),
        })
      }
    })
    // Fastify adds a HEAD route to every GET route. Routes on a separate admin port are not documented for clients.
    const routes = (): DocumentedRoute[] => {
      const gets = new Set(registered.flatMap(({ method, url }) => (method === 'GET' ? [url] : [])))
      return registered
        .filter(
          ({ method, url, admin }) => !(method === 'HEAD' && gets.has(url)) && !(admin && adminPort > 0),
        )
        .map((route) => ({ ...route, role: isOpen(route) ? undefined : route.role }))
    }
    const isOpen = ({ operator, url }: DocumentedRoute): boolean => !operator && app.rights.isPublic(url)
    const texts = new Map<string, string>()
    /** Examples contain model names, which may change. */
    let knownModels: readonly Model[] | undefined
    let script: Promise<Buffer> | undefined
    app.decorate('apiDocs', {
      routes,
      openapi(server, models = app.models.all()) {
        if (knownModels !== app.models.all()) texts.clear()
        knownModels = app.models.all()
        const exampleModel: ExampleModel = (operations, named) =>
          models.find(({ alias }) => alias === app.models.find(named)?.alias)?.alias ??
          modelFor(models, operations)
        const key = JSON.stringify([server, models.map(({ alias }) => alias)])
        const text =
          texts.get(key) ??
          JSON.stringify(openapiDocument(routes(), { version, server, keys: authEnabled, exampleModel }))
        texts.set(key, text)
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

/** The first model with a target that supports one of the operations; without one, examples keep their placeholder name. */
function modelFor(models: readonly Model[], operations: readonly Operation[]): string | undefined {
  const isWanted = ({ embedding }: Model): boolean => embedding === operations.includes('embedding')
  const able = models.filter(({ targets }) =>
    targets.some(({ paths }) => operations.some((operation) => paths[operation] !== undefined)),
  )
  return (able.find(isWanted) ?? able[0])?.alias
}

/**
 * Scalar's page script, gzip-compressed. Its package is a 5 MB module: a worker thread loads it, so that it neither
 * blocks responses nor stays in memory.
 */
export async function loadPageScript(): Promise<Buffer> {
  // `.js` in dist/.
  const file = `page-script-worker${extname(import.meta.filename)}`
  const worker = new Worker(join(import.meta.dirname, file))
  const [bytes] = await once(worker, 'message')
  if (!(bytes instanceof Uint8Array)) throw new Error('the script of the page could not be read')
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
}
