import { createHash } from 'node:crypto'
import { isDeepStrictEqual } from 'node:util'
import type { FastifyInstance } from 'fastify'
import fp from 'fastify-plugin'
import { autoModelFromVariables } from '../../config/auto/read.ts'
import type { AutoModelEntry } from '../../config/auto/schema.ts'
import { errorsAtPositions, type Located, locatedWarnings } from '../../config/config-path.ts'
import type { FoundServer } from '../../config/models/discovered.ts'
import { type LoadedModels, loadModels } from '../../config/models/load.ts'
import { type ModelsChange, reuseUnchanged } from '../../config/models/reuse.ts'
import type { ConfigSubscriber } from '../../config/reloader.ts'
import { targetSources } from '../../config/servers/followed.ts'
import type { ModelsSnapshot } from '../../config/sources.ts'
import type { TargetSources } from '../../config/targets/target-access.ts'
import { readProblem } from '../../lib/read-problem.ts'
import { looseName } from '../../sdk/engine-listings.ts'
import { ConfigError } from '../../sdk/errors.ts'
import type { Model, Target } from '../../sdk/target.ts'
import type { CompiledProcessors } from '../processors/compiled.ts'
import { maxLoggedErrors } from '../reload/index.ts'
import type { Retrieval } from '../retrieval/compiled.ts'
import { tableOf } from './model-table.ts'
import { withDiscovered } from './with-discovered.ts'

declare module 'fastify' {
  interface FastifyInstance {
    models: {
      /** Models in use; a reload replaces the list. */
      all(): readonly Model[]
      /** Models as clients see them: each alias is listed as a separate model of that name. */
      listed(): readonly Model[]
      /** Further names of a model. */
      aliasesOf(model: string): readonly string[]
      /** Finds a model by its name or an alias of it. */
      find(name: string): Model | undefined
      /** Matches names as Ollama does: case-insensitively, and `m` equals `m:latest`. */
      findLoosely(name: string): Model | undefined
      /** The configured name or alias for a name, matched like `findLoosely`. */
      canonicalName(name: string): string | undefined
      /** Version and reload history of the configuration. */
      loading(): ConfigLoading
      /** Calls the listener whenever the models have changed, synchronously and in registration order. */
      onChange(listener: (change: ModelsChange) => void): void
    }
  }
}

export interface ConfigLoading {
  /** Digest of models-config.json. */
  version: string
  at: Date
  /** Configuration of the model `auto`; undefined if there is none. */
  autoModel: AutoModelEntry | undefined
  /** Warnings about the file in use. */
  warnings: readonly Located[]
  /** Reloads since the start; in a cluster, only one process counts. */
  reloads: { success: number; failure: number }
}

export interface ModelsOptions {
  env: Record<string, string | undefined>
  /** Servers found on this machine, used if the file names none. */
  found?: Promise<readonly FoundServer[]>
}

type Loaded = LoadedModels & {
  version: string
  snapshot: ModelsSnapshot
  compiled: CompiledProcessors
  retrievals: readonly Retrieval[]
}

/**
 * Models of models-config.json, loaded and validated completely before anything listens, and again after each change.
 */
export default fp(
  async (app, options: ModelsOptions) => {
    const feed = app.reload.feed(app.reload.sources.models)
    const load = loader(app, options.env, (await options.found) ?? [])
    const first = firstLoaded(load, await feed.first(), app.config.modelsConfigPath)
    const { models, aliases, warnings, version } = first
    for (const warning of warnings) app.log.warn(warning)
    let table = tableOf(models, aliases)
    app.processors.use(first.compiled)
    app.retrieval.use(first.retrievals)
    app.answerCache.use(first.processors, models)
    const loading: ConfigLoading = {
      version,
      at: new Date(),
      warnings: warningsOf(first, app.config.modelsConfigPath),
      autoModel: first.autoModel,
      reloads: { success: 0, failure: 0 },
    }
    const listeners: ((change: ModelsChange) => void)[] = []
    app.decorate('models', {
      all: () => table.models,
      listed: () => table.listed,
      aliasesOf: (model) => table.aliases.get(model) ?? [],
      find: (name) => table.byName.get(name),
      findLoosely: (name) => table.byName.get(name) ?? table.loosely.get(looseName(name)),
      canonicalName: (name) => (table.byName.has(name) ? name : table.canonical.get(looseName(name))),
      loading: () => loading,
      onChange: (listener) => {
        listeners.push(listener)
      },
    })
    const take = (loaded: Loaded, isReload: boolean): ModelsChange => {
      const { models: next, change } = reuseUnchanged(table.models, loaded.models)
      table = tableOf(next, loaded.aliases)
      app.processors.use(loaded.compiled)
      app.retrieval.use(loaded.retrievals)
      app.answerCache.use(loaded.processors, next)
      if (isReload) {
        loading.version = loaded.version
        loading.at = new Date()
      }
      loading.warnings = warningsOf(loaded, app.config.modelsConfigPath)
      // Learned state is kept where nothing has changed.
      if (!isDeepStrictEqual(loading.autoModel, loaded.autoModel)) loading.autoModel = loaded.autoModel
      for (const listener of listeners) notify(app, listener, change)
      return change
    }
    feed.serve(subscriber(app, { load, take, first }))
  },
  {
    name: 'models',
    dependencies: ['config', 'registries', 'processors', 'retrieval', 'answer-cache', 'extensions', 'reload'],
  },
)

/** The models are already in use, so a failing listener must not keep the others from being called. */
function notify(app: FastifyInstance, listener: (change: ModelsChange) => void, change: ModelsChange): void {
  try {
    listener(change)
  } catch (error) {
    app.log.error({ err: error }, 'a listener for model changes failed')
  }
}

type Loader = (snapshot: ModelsSnapshot) => Loaded

/** Returns a function that loads the models of a snapshot. Throws ConfigError. */
function loader(app: FastifyInstance, env: ModelsOptions['env'], found: readonly FoundServer[]): Loader {
  const { config, providers, strategies } = app
  return (snapshot) => {
    const { main, files, fleet } = snapshot
    if ('code' in main)
      throw new ConfigError([
        `LLM_ROUTER_MODELS_CONFIG: cannot read ${config.modelsConfigPath}: ${readProblem(main.code)}`,
      ])
    const { text } = main
    const sources = { ...targetSources({ config, env, providers }, files), strategies }
    const own = loadModels(text, sources, fleet)
    const version = createHash('sha256').update(text).digest('hex').slice(0, 12)
    const compiled = app.processors.compile(own.processors, own.models)
    const all = withFound(text, found, sources) ?? own
    const names = new Set(all.models.map(({ alias }) => alias))
    const autoModel = all.autoModel ?? autoModelFromVariables(config, names)
    const retrievals = app.retrieval.compile(own.processors, names)
    return { ...all, autoModel, version, snapshot, compiled, retrievals }
  }
}

/** Loads the models of the start. The errors that it throws are located, like those of a reload. */
function firstLoaded(load: Loader, snapshot: ModelsSnapshot, path: string): Loaded {
  try {
    return load(snapshot)
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error
    throw new ConfigError(errorsIn(snapshot, error, path), error.warnings)
  }
}

interface TakerOptions {
  load: Loader
  take(loaded: Loaded, isReload: boolean): ModelsChange
  first: Loaded
}

function subscriber(
  app: FastifyInstance,
  { load, take, first }: TakerOptions,
): ConfigSubscriber<ModelsSnapshot> {
  const { reloads } = app.models.loading()
  const describe = ({ version, models }: Loaded): object => ({
    version,
    models: models.map(({ alias }) => alias),
  })
  let current = first
  // Changes of discovered servers are not changes of the configuration.
  let description = describe(first)
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
      const isReload = !isLiveChange(current.snapshot, prepared.snapshot)
      const known = isReload ? [] : current.warnings
      const { added, removed } = take(prepared, isReload)
      current = prepared
      if (isReload) description = describe(prepared)
      prepared = undefined
      if (!notice) return
      for (const warning of warnings) if (!known.includes(warning)) app.log.warn(warning)
      const counts = { models: models.length, added: idsOf(added), removed: idsOf(removed) }
      if (isReload) {
        reloads.success++
        app.log.info({ version, ...counts }, 'models-config.json reloaded')
      } else app.log.info(counts, 'models or addresses of servers changed')
    },
    describe: () => description,
    discard(errors, notice) {
      prepared = undefined
      if (!notice) return
      reloads.failure++
      const [first = '', ...more] = errors
      const rest = more.length > 0 ? ` (and ${more.length} more)` : ''
      app.log.error(
        { errors: errors.slice(0, maxLoggedErrors) },
        `${first}${rest}; the models in use stay in effect`,
      )
    },
  }
}

function warningsOf({ warnings, snapshot: { main } }: Loaded, path: string): Located[] {
  return 'text' in main ? locatedWarnings(warnings, main.text, path) : []
}

/** Whether only the state of servers has changed. SIGHUP reloads the same files. */
function isLiveChange(previous: ModelsSnapshot, { main, files, fleet }: ModelsSnapshot): boolean {
  const hasSameFiles = isDeepStrictEqual([previous.main, previous.files], [main, files])
  return hasSameFiles && !isDeepStrictEqual(previous.fleet, fleet)
}

function errorsIn({ main }: ModelsSnapshot, error: ConfigError, path: string): readonly string[] {
  return 'text' in main ? errorsAtPositions(error.errors, main.text, path) : error.errors
}

function idsOf(targets: readonly Target[]): string[] {
  return targets.map(({ id }) => id)
}

/** Adds discovered servers. If they conflict with the file, only the file is used. */
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
    return undefined // a discovered model has the name of one in the file
  }
}
