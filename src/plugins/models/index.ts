import { createHash } from 'node:crypto'
import { dirname } from 'node:path'
import type { FastifyInstance } from 'fastify'
import fp from 'fastify-plugin'
import { errorsAtPositions } from '../../config/config-path.ts'
import { configOf, type FoundServer } from '../../config/discovered.ts'
import { loadModels } from '../../config/models-load.ts'
import { type ModelsChange, reuse } from '../../config/models-swap.ts'
import { proxyRule } from '../../config/proxy-rule.ts'
import type { ConfigTaker } from '../../config/reloader.ts'
import type { FileContent, ModelsSnapshot } from '../../config/sources.ts'
import type { TargetSources } from '../../config/target-build.ts'
import { readJsonc } from '../../lib/json/jsonc.ts'
import { isObject } from '../../lib/json/read.ts'
import { ConfigError } from '../../sdk/errors.ts'
import type { Model, Target } from '../../sdk/target.ts'

declare module 'fastify' {
  interface FastifyInstance {
    models: {
      /** In use now; another list after a reload. */
      all(): readonly Model[]
      find(name: string): Model | undefined
      /** As Ollama matches names: in any case, and `m` is `m:latest`. */
      findLoosely(name: string): Model | undefined
      /** How the models came to be what they are. */
      loading(): ConfigLoading
      /** Calls back each time that other models have just come into use: in the same tick, in the order of the calls. */
      onChange(listener: (change: ModelsChange) => void): void
    }
  }
}

export interface ConfigLoading {
  /** Tells one content of models-config.json from another. */
  version: string
  at: Date
  /** How often it was read again since the start; in a cluster one process counts for all. */
  reloads: { success: number; failure: number }
}

export interface ModelsOptions {
  env: Record<string, string | undefined>
  /** Servers on this machine, to be offered where the file names none. */
  found?: Promise<readonly FoundServer[]>
}

type Loaded = ReturnType<typeof loadModels> & { version: string }

/** The models of models-config.json, read and checked whole before anything listens, and again after each change. */
export default fp(
  async (app, options: ModelsOptions) => {
    const feed = app.reload.feed(app.reload.sources.models)
    const load = loader(app, options.env, (await options.found) ?? [])
    const { models, warnings, version } = load(await feed.first())
    for (const warning of warnings) app.log.warn(warning)
    let table = tableOf(models)
    const loading: ConfigLoading = { version, at: new Date(), reloads: { success: 0, failure: 0 } }
    const listeners: ((change: ModelsChange) => void)[] = []
    app.decorate('models', {
      all: () => table.models,
      find: (name) => table.byName.get(name),
      findLoosely: (name) => table.byName.get(name) ?? table.loosely.get(looseName(name)),
      loading: () => loading,
      onChange: (listener) => {
        listeners.push(listener)
      },
    })
    const take = (loaded: Loaded): ModelsChange => {
      const { models: next, change } = reuse(table.models, loaded.models)
      table = tableOf(next)
      Object.assign(loading, { version: loaded.version, at: new Date() })
      for (const listener of listeners) tell(app, listener, change)
      return change
    }
    feed.serve(taker(app, load, take))
  },
  { name: 'models', dependencies: ['config', 'registries', 'extensions', 'reload'] },
)

/** Whatever one of them does, the models are in use, and the others must know. */
function tell(app: FastifyInstance, listener: (change: ModelsChange) => void, change: ModelsChange): void {
  try {
    listener(change)
  } catch (error) {
    app.log.error({ err: error }, 'a listener for model changes failed')
  }
}

interface ModelTable {
  models: readonly Model[]
  byName: ReadonlyMap<string, Model>
  loosely: ReadonlyMap<string, Model>
}

function tableOf(models: readonly Model[]): ModelTable {
  return {
    models,
    byName: new Map(models.map((model) => [model.alias, model])),
    loosely: new Map(models.toReversed().map((model) => [looseName(model.alias), model])),
  }
}

type Loader = (snapshot: ModelsSnapshot) => Loaded

/** Gives the models of a snapshot. Throws ConfigError. */
function loader(app: FastifyInstance, env: ModelsOptions['env'], found: readonly FoundServer[]): Loader {
  const path = app.config.modelsConfigPath
  return ({ main, files }) => {
    if ('code' in main)
      throw new ConfigError([`LLM_ROUTER_MODELS_CONFIG: cannot read ${path} (${main.code})`])
    const { text } = main
    const sources = {
      providers: app.providers,
      strategies: app.strategies,
      env,
      readFile: (file: string) => contentIn(files, file),
      baseDir: dirname(path),
      allowLinkLocal: app.config.allowLinkLocal,
      proxyOf: proxyRule(app.config),
    }
    const own = loadModels(text, sources)
    const version = createHash('sha256').update(text).digest('hex').slice(0, 12)
    return { ...(withFound(text, found, sources) ?? own), version }
  }
}

function taker(
  app: FastifyInstance,
  load: Loader,
  take: (loaded: Loaded) => ModelsChange,
): ConfigTaker<ModelsSnapshot> {
  const { reloads } = app.models.loading()
  let prepared: Loaded | undefined
  return {
    async prepare(snapshot) {
      prepared = undefined
      try {
        prepared = load(snapshot)
        return []
      } catch (error) {
        if (!(error instanceof ConfigError)) throw error
        return errorsIn(snapshot, error, app.config.modelsConfigPath)
      }
    },
    commit(notice) {
      if (!prepared) return
      const { warnings, version, models } = prepared
      const { added, removed } = take(prepared)
      prepared = undefined
      if (!notice) return
      reloads.success++
      for (const warning of warnings) app.log.warn(warning)
      const counts = { models: models.length, added: idsOf(added), removed: idsOf(removed) }
      app.log.info({ version, ...counts }, 'models-config.json reloaded')
    },
    drop(errors, notice) {
      prepared = undefined
      if (!notice) return
      reloads.failure++
      const [first = '', ...more] = errors
      const rest = more.length > 0 ? ` (and ${more.length} more)` : ''
      app.log.error({ errors }, `${first}${rest}; the models in use stay in force`)
    },
  }
}

function errorsIn({ main }: ModelsSnapshot, error: ConfigError, path: string): readonly string[] {
  return 'text' in main ? errorsAtPositions(error.errors, main.text, path) : error.errors
}

function idsOf(targets: readonly Target[]): string[] {
  return targets.map(({ id }) => id)
}

/** What was found is an offer: where it does not fit the file, the file stands alone. */
function withFound(
  text: string,
  servers: readonly FoundServer[],
  sources: TargetSources,
): ReturnType<typeof loadModels> | undefined {
  const more = withDiscovered(text, servers)
  if (more === undefined) return undefined
  try {
    return loadModels(more, sources)
  } catch {
    return undefined // a found model has the name of one in the file
  }
}

/** As `fs.readFileSync` would give it at the moment of the snapshot. */
function contentIn(files: Readonly<Record<string, FileContent>>, path: string): string {
  const content = Object.hasOwn(files, path) ? files[path] : undefined
  if (content && 'text' in content) return content.text
  throw Object.assign(new Error('the file cannot be read'), { code: content?.code ?? 'ENOENT' })
}

function looseName(name: string): string {
  const lower = name.toLowerCase()
  return lower.endsWith(':latest') ? lower.slice(0, -':latest'.length) : lower
}

/**
 * The text of a models-config.json with the models of found servers beside its own, for a start without any
 * configuration. Undefined where nothing is to be added: no model was found, or the file names servers itself.
 */
export function withDiscovered(text: string, servers: readonly FoundServer[]): string | undefined {
  if (servers.every(({ models }) => models.length === 0)) return undefined
  const { value: own } = { value: undefined, ...readJsonc(text) }
  // What is wrong with it, its reader reports.
  if (!isObject(own) || namesServers(own)) return undefined
  const { active_models: active, ...found } = configOf(servers)
  return JSON.stringify({
    ...own,
    ...found,
    active_models: {
      ...(isObject(own.active_models) ? own.active_models : {}),
      ...(isObject(active) ? active : {}),
    },
  })
}

/** Whether anything in it has an address; the file that comes with the router has none. */
function namesServers(value: unknown): boolean {
  if (Array.isArray(value)) return value.some(namesServers)
  if (!isObject(value)) return false
  return 'api_host' in value || Object.values(value).some(namesServers)
}
