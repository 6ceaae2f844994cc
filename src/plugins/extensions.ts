import { existsSync } from 'node:fs'
import { registerHooks } from 'node:module'
import { dirname, extname, join, resolve, sep } from 'node:path'
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
    let loading: string | undefined
    const owners = new Map<string, string>()
    app.addHook('onRoute', ({ method, url, constraints }) => {
      for (const name of [method].flat()) {
        const route = `${name} ${url} ${constraints?.listener ?? ''}`
        const owner = owners.get(route)
        if (loading !== undefined) owners.set(route, owner ?? loading)
        // The router's own endpoints are declared after those of extensions.
        else if (owner !== undefined)
          throw new ConfigError([errorOf(owner, `${name} ${url} is an endpoint of the router`)])
      }
    })
    for (const name of extensions) {
      loading = name
      try {
        await app.register(fp(await load(name), { name: `extension ${name}` }))
        await app.after()
      } catch (error) {
        errors.push(errorOf(name, problemOf(error)))
      }
    }
    loading = undefined
    if (errors.length > 0) {
      hooks.deregister()
      throw new ConfigError(errors)
    }
  },
  { name: 'extensions', dependencies: ['config', 'registries', 'errors'] },
)

function errorOf(name: string, problem: string): string {
  return `LLM_ROUTER_EXTENSIONS: "${name}": ${problem}`
}

/** Describes why an extension could not be loaded, with the file and line where it failed. */
function problemOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error)
  const { message, stack = '' } = error
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

async function load(name: string): Promise<FastifyPluginAsync> {
  const isFile = name.startsWith('.') || name.startsWith('/')
  if (isFile && !existsSync(name)) throw new Error(`there is no such file: ${resolve(name)}`)
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
    const hint = existsSync(name) ? `; did you mean the file "./${name}"?` : ''
    throw new Error(`package found neither in ${resolve('node_modules')} nor next to the router${hint}`)
  }
}

/** Whether the package itself is missing, rather than one of its imports. */
function isMissing(error: unknown, name: string): boolean {
  if (!(error instanceof Error) || !('code' in error) || error.code !== 'ERR_MODULE_NOT_FOUND') return false
  return error.message.includes(`'${name}'`)
}
