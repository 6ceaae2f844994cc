import { registerHooks } from 'node:module'
import { extname, join, resolve } from 'node:path'
import { pathToFileURL } from 'node:url'
import type { FastifyPluginAsync } from 'fastify'
import fp from 'fastify-plugin'
import { ConfigError } from '../sdk/errors.ts'
import type { ExtensionDecorators } from '../sdk.ts'

/**
 * Loads the modules named in LLM_ROUTER_EXTENSIONS. Each is a Fastify plugin (its default export) that adds provider
 * types, strategies, dialects or routes. A name that starts with a dot or a slash is a file, relative to the working
 * directory. Any other name is a package, resolved from the working directory first and then from the router.
 */
export default fp(
  async (app) => {
    // Lets the compiler check that extensions get the decorators that the SDK promises.
    const { extensions } = (app satisfies ExtensionDecorators).config
    if (extensions.length === 0) return
    const hooks = registerHooks({ resolve: resolveForExtensions })
    // Stays registered, because extensions may import lazily.
    app.addHook('onClose', async () => hooks.deregister())
    const errors: string[] = []
    for (const name of extensions) {
      try {
        await app.register(fp(await load(name), { name: `extension ${name}` }))
        await app.after()
      } catch (error) {
        errors.push(
          `LLM_ROUTER_EXTENSIONS: "${name}": ${error instanceof Error ? error.message : String(error)}`,
        )
      }
    }
    if (errors.length > 0) {
      hooks.deregister()
      throw new ConfigError(errors)
    }
  },
  { name: 'extensions', dependencies: ['config', 'registries', 'errors'] },
)

/** Prefix of a package name to be resolved from the working directory. */
const fromWorkingDirectory = 'llm-router-extension:'
const sdk = pathToFileURL(join(import.meta.dirname, `../sdk${extname(import.meta.filename)}`)).href

type ResolveHook = NonNullable<Parameters<typeof registerHooks>[0]['resolve']>

/**
 * Resolves `llm-router/sdk` to the running router's SDK, wherever the extension is and whatever is installed next to
 * it.
 */
const resolveForExtensions: ResolveHook = (specifier, context, next) => {
  if (specifier === 'llm-router/sdk') return { url: sdk, shortCircuit: true }
  if (!specifier.startsWith(fromWorkingDirectory)) return next(specifier, context)
  const parentURL = pathToFileURL(resolve('package.json')).href
  return next(specifier.slice(fromWorkingDirectory.length), { ...context, parentURL })
}

async function load(name: string): Promise<FastifyPluginAsync> {
  const isFile = name.startsWith('.') || name.startsWith('/')
  const loaded: { default?: unknown } = isFile
    ? await import(pathToFileURL(resolve(name)).href)
    : await loadPackage(name)
  if (typeof loaded.default !== 'function')
    throw new Error('it has no default export that is a Fastify plugin')
  return loaded.default as FastifyPluginAsync
}

async function loadPackage(name: string): Promise<{ default?: unknown }> {
  try {
    return await import(fromWorkingDirectory + name)
  } catch (error) {
    if (!isMissing(error, name)) throw error
  }
  try {
    return await import(name)
  } catch (error) {
    if (!isMissing(error, name)) throw error
    throw new Error(`package found neither in ${resolve('node_modules')} nor next to the router`)
  }
}

/** Whether the package itself is missing, rather than one of its imports. */
function isMissing(error: unknown, name: string): boolean {
  if (!(error instanceof Error) || !('code' in error) || error.code !== 'ERR_MODULE_NOT_FOUND') return false
  return error.message.includes(`'${name}'`)
}
