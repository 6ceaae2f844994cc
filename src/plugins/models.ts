import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { dirname } from 'node:path'
import fp from 'fastify-plugin'
import type { FoundServer } from '../core/discovered.ts'
import { ConfigError } from '../core/errors.ts'
import { loadModels } from '../core/models-load.ts'
import type { Model } from '../core/target.ts'
import type { TargetSources } from '../core/target-build.ts'
import { withDiscovered } from '../core/with-discovered.ts'

declare module 'fastify' {
  interface FastifyInstance {
    models: {
      all(): readonly Model[]
      find(name: string): Model | undefined
      /** As Ollama matches names: in any case, and `m` is `m:latest`. */
      findLoosely(name: string): Model | undefined
      /** How the models came to be what they are. */
      loading(): ConfigLoading
    }
  }
}

export interface ConfigLoading {
  /** Tells one content of models-config.json from another. */
  version: string
  at: Date
  /** How often it was read again since the start. */
  reloads: { success: number; failure: number }
}

export interface ModelsOptions {
  env: Record<string, string | undefined>
  /** Servers on this machine, to be offered where the file names none. */
  found?: Promise<readonly FoundServer[]>
}

/** The models of models-config.json, read and checked whole before anything listens. */
export default fp(
  async (app, options: ModelsOptions) => {
    const path = app.config.modelsConfigPath
    const text = read(path)
    const loading: ConfigLoading = {
      version: createHash('sha256').update(text).digest('hex').slice(0, 12),
      at: new Date(),
      reloads: { success: 0, failure: 0 },
    }
    const sources = {
      providers: app.providers,
      strategies: app.strategies,
      env: options.env,
      readFile: (file: string) => readFileSync(file, 'utf8'),
      baseDir: dirname(path),
    }
    const own = loadModels(text, sources)
    const { models, warnings } = withFound(text, (await options.found) ?? [], sources) ?? own
    for (const warning of warnings) app.log.warn(warning)
    const byName = new Map(models.map((model) => [model.alias, model]))
    const loosely = new Map(models.toReversed().map((model) => [looseName(model.alias), model]))
    app.decorate('models', {
      all: () => models,
      find: (name) => byName.get(name),
      findLoosely: (name) => byName.get(name) ?? loosely.get(looseName(name)),
      loading: () => loading,
    })
  },
  { name: 'models', dependencies: ['config', 'registries', 'extensions'] },
)

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

function read(path: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? error.code : error
    throw new ConfigError([`LLM_ROUTER_MODELS_CONFIG: cannot read ${path} (${code})`])
  }
}

function looseName(name: string): string {
  const lower = name.toLowerCase()
  return lower.endsWith(':latest') ? lower.slice(0, -':latest'.length) : lower
}
