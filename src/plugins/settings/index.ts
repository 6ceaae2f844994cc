import { versions } from 'node:process'
import type { FastifyInstance } from 'fastify'
import fp from 'fastify-plugin'
import { locatedError } from '../../config/config-path.ts'
import { ConfigSchema } from '../../config/settings/schema.ts'
import { type Config, variables } from '../../config/settings/settings.ts'
import { version } from '../../lib/version.ts'
import type { Settings } from '../../sdk/console/settings.ts'

declare module 'fastify' {
  interface FastifyInstance {
    settings: {
      /** The effective configuration without secrets; paths and addresses only for operators. */
      read(isOperator: boolean): Settings
    }
  }
}

interface SettingsOptions {
  /** The settings of this process. */
  env: Readonly<Record<string, string | undefined>>
}

type Key = keyof Config

/** Includes addresses, which may contain credentials. */
const secrets: ReadonlySet<Key> = new Set<Key>([
  'redisPassword',
  'redisSentinelPassword',
  'redisUrl',
  'databaseUrl',
  'adminKey',
  'sessionSecret',
  'oidcClientSecret',
  'budgetWebhookUrl',
  'budgetWebhookSecret',
  'upstreamProxy',
])

/** Settings that reveal details of the machine and its network. */
const machine: ReadonlySet<Key> = new Set<Key>([
  'modelsConfigPath',
  'promptsDir',
  'authKeysFile',
  'logFilename',
  'usageSpool',
  'serverHost',
  'redisHost',
  'kubernetesAccountDir',
  'extensions',
  'trustedProxies',
  'upstreamNoProxy',
  'oidcIssuer',
  'oidcClientId',
  'oidcRoleMap',
  'publicUrl',
])

/** The effective configuration with its sources, for the console. */
export default fp(
  (app, { env }: SettingsOptions, done) => {
    app.decorate('settings', {
      read(isOperator) {
        const { version: config, at } = app.models.loading()
        return {
          versions: {
            router: version,
            node: versions.node,
            config,
            config_loaded_at: at.toISOString(),
          },
          settings: variables.map(({ key, name, allowsEmpty }) => {
            const text = env[`LLM_ROUTER_${name}`]?.trim()
            const isFromEnv = text !== undefined && (text !== '' || allowsEmpty === true)
            return settingOf(key, app.config, {
              name: `LLM_ROUTER_${name}`,
              source: isFromEnv ? 'env' : 'default',
              isOperator,
            })
          }),
          files: filesOf(app, isOperator),
        }
      },
    })
    done()
  },
  { name: 'settings', dependencies: ['config', 'models', 'reload', 'auth'] },
)

function settingOf(
  key: Key,
  config: Config,
  { name, source, isOperator }: { name: string; source: 'env' | 'default'; isOperator: boolean },
): Settings['settings'][number] {
  const {
    default: preset,
    unit,
    description,
  } = ConfigSchema.properties[key] as {
    default?: unknown
    unit?: string
    description?: string
  }
  const about = {
    name,
    source,
    default: shownValue(preset, unit),
    unit: unit ?? null,
    description: description ?? '',
  }
  const value = config[key]
  if (secrets.has(key)) return { ...about, value: null, secret: true, is_set: value !== '' }
  const isSet = JSON.stringify(value) !== JSON.stringify(preset)
  if (machine.has(key) && isSet && !isOperator) return { ...about, value: null, hidden: true }
  return { ...about, value: shownValue(value, unit) }
}

/** In the unit of the variable. */
function shownValue(value: unknown, unit: string | undefined): Settings['settings'][number]['value'] {
  if (typeof value === 'number') return unit === 'seconds' ? value / 1000 : value
  if (typeof value === 'string' || typeof value === 'boolean') return value
  return Array.isArray(value)
    ? value.map((each) => (typeof each === 'string' ? each : JSON.stringify(each)))
    : null
}

function filesOf(app: FastifyInstance, isOperator: boolean): Settings['files'] {
  const { modelsConfigPath, promptsDir, authKeysFile } = app.config
  const { models, prompts, keys } = app.reload.sources
  const { at, warnings } = app.models.loading()
  const loadedAt = at.toISOString()
  const files = [
    { setting: models.name, path: modelsConfigPath, loadedAt, warnings },
    { setting: prompts.name, path: promptsDir, loadedAt: null, warnings: [] },
    ...(authKeysFile === ''
      ? []
      : [{ setting: keys.name, path: authKeysFile, loadedAt: null, warnings: [] }]),
  ]
  const failures = app.reload.failures()
  return files.map(({ setting, path, loadedAt, warnings }) => {
    const failure = failures.get(setting)
    return {
      setting,
      path: isOperator ? path : null,
      state: failure ? 'rejected' : 'loaded',
      at: failure?.at.toISOString() ?? loadedAt,
      errors: (failure?.errors ?? []).map((error) => locatedError(error, path)),
      warnings: [...warnings],
    }
  })
}
