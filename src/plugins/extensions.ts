import { existsSync } from 'node:fs'
import { registerHooks } from 'node:module'
import { dirname, extname, join, resolve, sep } from 'node:path'
import { pathToFileURL } from 'node:url'
import type { FastifyInstance, FastifyPluginAsync, FastifyPluginCallback } from 'fastify'
import fp from 'fastify-plugin'
import { surfaces } from '../sdk/client-key.ts'
import { ConfigError } from '../sdk/errors.ts'
import type { ExtensionDecorators } from '../sdk.ts'

declare module 'fastify' {
  interface FastifyInstance {
    /** The extension that added each processor type, as LLM_ROUTER_EXTENSIONS names it. */
    extensionOf: Map<string, string>
  }
}

/** Time limit for loading one extension, in milliseconds. */
const loadTimeoutMs = 60_000

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
        return owner === undefined ? `${route}: ${problem}` : errorOf(owner, `${route}: ${problem}`)
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
    app.addHook('onRoute', ({ method, url, constraints, config }) => {
      for (const name of [method].flat()) {
        const route = `${name} ${url} ${constraints?.listener ?? ''}`
        const owner = owners.get(route)
        if (loading !== undefined) owners.set(route, owner ?? loading)
        // The router's own endpoints are declared after those of extensions.
        else if (owner !== undefined)
          throw new ConfigError([errorOf(owner, `${name} ${url} is an endpoint of the router`)])
      }
      if (loading === undefined) return
      const wrong = surfaceError(config?.surface)
      if (wrong !== undefined) errors.add(errorOf(loading, `endpoint ${url}: ${wrong}`))
      uses.push({ extension: loading, by: `endpoint ${url}: 'config.dialect'`, dialect: config?.dialect })
    })
    for (const name of extensions) {
      loading = name
      const providers = new Set(app.providers.names())
      try {
        await inTime(register(app, name))
      } catch (error) {
        errors.add(errorOf(name, problemOf(error)))
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
      : [errorOf(extension, `${by} must be one of: ${dialects.names().join(', ')}`)],
  )
}

function surfaceError(surface: string | undefined): string | undefined {
  const known: readonly string[] = ['any', ...surfaces]
  if (surface === undefined || known.includes(surface)) return undefined
  return `'config.surface' must be one of: ${known.join(', ')}`
}

async function register(app: FastifyInstance, name: string): Promise<void> {
  const plugin = await load(name)
  await app.register(fp(settling(plugin), { name: `extension ${name}` }))
  await app.after()
}

/** Fastify ignores a rejection with null, and does not catch what a plugin throws synchronously. */
function settling(plugin: FastifyPluginAsync | FastifyPluginCallback): FastifyPluginAsync {
  return async (instance, options) => {
    const { promise, resolve, reject } = Promise.withResolvers<void>()
    try {
      const returned: unknown = plugin(instance, options, (error) => (error ? reject(error) : resolve()))
      if (plugin.length < 3) resolve(returned as Promise<void> | undefined) // `resolve` waits for any promise
      await promise
    } catch (error) {
      throw error instanceof Error ? error : new Error(String(error))
    }
  }
}

async function inTime(loaded: Promise<void>): Promise<void> {
  const late = Promise.withResolvers<never>()
  const timer = setTimeout(
    () => late.reject(`it has not finished loading after ${loadTimeoutMs / 1000} s`),
    loadTimeoutMs,
  )
  try {
    await Promise.race([loaded, late.promise])
  } finally {
    clearTimeout(timer)
  }
}

function errorOf(name: string, problem: string): string {
  return `LLM_ROUTER_EXTENSIONS: "${name}": ${problem}`
}

/** Describes why an extension could not be loaded, with the file and line where it failed. */
function problemOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error)
  const { stack = '' } = error
  const message = error.message || error.name
  // A .js or .ts file with "type": "commonjs" in its package.json, which `npm init` writes.
  if (/^Cannot use import statement outside a module|^Unexpected token 'export'/.test(message))
    return 'it is an ES module: set "type": "module" in its package.json, or name the file .mjs or .mts'
  const places = stack.matchAll(/(?:^|\(|at )(?:file:\/\/)?(\/[^\s()]+?:\d+(?::\d+)?)(?=\)?$)/gm)
  const place = [...places].map(([, place = '']) => place).find(isOfExtension)
  return place === undefined ? message : `${message} (${place})`
}

function isOfExtension(place: string): boolean {
  return !place.startsWith(dirname(import.meta.dirname) + sep) && !place.includes('/node_modules/')
}

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
