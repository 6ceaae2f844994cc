import { resolve } from 'node:path'
import { pathToFileURL } from 'node:url'
import type { FastifyPluginAsync } from 'fastify'
import fp from 'fastify-plugin'
import { ConfigError } from '../sdk/errors.ts'

/**
 * Loads the modules named in LLM_ROUTER_EXTENSIONS: each is a Fastify plugin (its default export) that adds provider
 * types, strategies, dialects or routes. A name that starts with a dot or a slash is a file, from the working
 * directory; any other is a package.
 */
export default fp(
  async (app) => {
    const errors: string[] = []
    for (const name of app.config.extensions) {
      try {
        await app.register(fp(await load(name), { name: `extension ${name}` }))
        await app.after()
      } catch (error) {
        errors.push(
          `LLM_ROUTER_EXTENSIONS: "${name}": ${error instanceof Error ? error.message : String(error)}`,
        )
      }
    }
    if (errors.length > 0) throw new ConfigError(errors)
  },
  { name: 'extensions', dependencies: ['config', 'registries', 'errors'] },
)

async function load(name: string): Promise<FastifyPluginAsync> {
  const isFile = name.startsWith('.') || name.startsWith('/')
  const loaded: { default?: unknown } = await import(isFile ? pathToFileURL(resolve(name)).href : name)
  if (typeof loaded.default !== 'function')
    throw new Error('it has no default export that is a Fastify plugin')
  return loaded.default as FastifyPluginAsync
}
