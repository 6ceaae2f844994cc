import { existsSync } from 'node:fs'
import { registerHooks } from 'node:module'
import { extname, join, resolve } from 'node:path'
import { pathToFileURL } from 'node:url'
import type { FastifyInstance, FastifyPluginAsync, FastifyPluginCallback } from 'fastify'
import fp from 'fastify-plugin'
import { extensionProblem } from '../../lib/extension-problem.ts'
import { surfaces } from '../../sdk/client-key.ts'
import { ConfigError } from '../../sdk/errors.ts'
import type { ExtensionDecorators } from '../../sdk.ts'
import { extensionError, type Hook, onSend, settled, wrapHooks } from './hooks.ts'
import { withTimeLimit } from './time-limit.ts'

declare module 'fastify' {
  interface FastifyInstance {
    /** The extension that added each processor type, as LLM_ROUTER_EXTENSIONS names it. */
    extensionOf: Map<string, string>
  }
}

/** Time limit for loading one extension, in milliseconds. */
const loadTimeoutMs = 60_000
const timeoutMessage = `it has not finished loading after ${loadTimeoutMs / 1000} s`

/**
 * Loads the modules named in LLM_ROUTER_EXTENSIONS. Each is a Fastify plugin (its default export) that adds provider
 * types, strategies, dialects or routes. A name that starts with a dot or a slash is a file, relative to the working
 * directory. Any other name is a package, resolved from the working directory first and then from the router.
 */
export default fp(
  async (app) => {
    // Lets the compiler check that extensions get the decorators that the SDK promises.
    const { extensions } = (app satisfies ExtensionDecorators).config
    app.decorate('extensionOf', new Map<string, string>())
    const owners = new Map<string, string>()
    app.addHook('onReady', async () => {
      const invalid = app.schemaErrors.map(({ route, problem }) => {
        const owner = owners.get(`${route} `)
        return owner === undefined ? `${route}: ${problem}` : extensionError(owner, `${route}: ${problem}`)
      })
      if (invalid.length > 0) throw new ConfigError(invalid)
    })
    if (extensions.length === 0) return
    const hooks = registerHooks({ resolve: resolveForExtensions })
    // Stays registered, because extensions may import lazily.
    app.addHook('onClose', async () => hooks.deregister())
    const errors = new Set<string>()
    const uses: DialectUse[] = []
    let loading: string | undefined
    wrapHooks(app, () => loading)
    app.addHook('onRoute', (options) => {
      const { method, url, constraints, config } = options
      for (const name of [method].flat()) {
        const route = `${name} ${url} ${constraints?.listener ?? ''}`
        const owner = owners.get(route)
        if (loading !== undefined) owners.set(route, owner ?? loading)
        // The router's own endpoints are declared after those of extensions.
        else if (owner !== undefined)
          throw new ConfigError([extensionError(owner, `${name} ${url} is an endpoint of the router`)])
      }
      if (loading === undefined) return
      const extension = loading
      if (options.onSend)
        options.onSend = [options.onSend]
          .flat()
          .map((hook) => onSend(app, hook as Hook, extension)) as typeof options.onSend
      const wrong = surfaceError(config?.surface)
      if (wrong !== undefined) errors.add(extensionError(loading, `endpoint ${url}: ${wrong}`))
      uses.push({ extension: loading, by: `endpoint ${url}: 'config.dialect'`, dialect: config?.dialect })
    })
    for (const name of extensions) {
      loading = name
      const providers = new Set(app.providers.names())
      try {
        await withTimeLimit(register(app, name), loadTimeoutMs, timeoutMessage)
      } catch (error) {
        errors.add(extensionError(name, extensionProblem(error, name)))
      }
      for (const type of app.providers.names().filter((type) => !providers.has(type))) {
        const { dialect } = app.providers.get(type)
        uses.push({ extension: name, by: `provider type "${type}": 'dialect'`, dialect })
      }
      for (const type of app.processorTypes.names())
        if (!app.extensionOf.has(type)) app.extensionOf.set(type, name)
    }
    loading = undefined
    // An extension may use a dialect that a later one adds.
    for (const error of unknownDialects(app, uses)) errors.add(error)
    if (errors.size > 0) {
      hooks.deregister()
      throw new ConfigError([...errors])
    }
  },
  { name: 'extensions', dependencies: ['config', 'registries', 'errors', 'processors', 'validation'] },
)

/** A dialect that an extension names. */
interface DialectUse {
  extension: string
  /** What names it. */
  by: string
  dialect: string | undefined
}

function unknownDialects({ dialects }: FastifyInstance, uses: readonly DialectUse[]): string[] {
  return uses.flatMap(({ extension, by, dialect }) =>
    dialect === undefined || dialects.find(dialect)
      ? []
      : [extensionError(extension, `${by} must be one of: ${dialects.names().join(', ')}`)],
  )
}

function surfaceError(surface: string | undefined): string | undefined {
  const known: readonly string[] = ['any', ...surfaces]
  if (surface === undefined || known.includes(surface)) return undefined
  return `'config.surface' must be one of: ${known.join(', ')}`
}

async function register(app: FastifyInstance, name: string): Promise<void> {
  const plugin = await load(name)
  const loaded: FastifyPluginAsync = (instance, options) =>
    settled((done) => plugin(instance, options, done), plugin.length > 2)
  await app.register(fp(loaded, { name: `extension ${name}` }))
  await app.after()
}

/** Prefix of a package name to be resolved from the working directory. */
const fromWorkingDirectory = 'llm-router-extension:'
const sdk = pathToFileURL(join(import.meta.dirname, `../../sdk${extname(import.meta.filename)}`)).href

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

async function load(name: string): Promise<FastifyPluginAsync | FastifyPluginCallback> {
  const isFile = name.startsWith('.') || name.startsWith('/')
  if (isFile && !existsSync(name)) throw new Error(`there is no such file: ${resolve(name)}`)
  const loaded: { default?: unknown } = isFile
    ? await import(pathToFileURL(resolve(name)).href)
    : await loadPackage(name)
  if (typeof loaded.default !== 'function')
    throw new Error('it has no default export that is a Fastify plugin')
  return loaded.default as FastifyPluginAsync | FastifyPluginCallback
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
    const hint = existsSync(name) ? `; did you mean the file "./${name}"?` : ''
    throw new Error(`package found neither in ${resolve('node_modules')} nor next to the router${hint}`)
  }
}

/** Whether the package itself is missing, rather than one of its imports. */
function isMissing(error: unknown, name: string): boolean {
  if (!(error instanceof Error) || !('code' in error) || error.code !== 'ERR_MODULE_NOT_FOUND') return false
  return error.message.includes(`'${name}'`)
}
