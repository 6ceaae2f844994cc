import assert from 'node:assert/strict'
import { loadModels } from '../../src/config/models/load.ts'
import { ConfigError } from '../../src/sdk/errors.ts'
import type { ProviderType } from '../../src/sdk/provider.ts'
import { Registry } from '../../src/sdk/registry.ts'
import type { Target } from '../../src/sdk/target.ts'

/** Stand-ins for the real provider types, with only what the configuration needs of a type. */
export const providers = new Registry<ProviderType>('provider type')
for (const [name, path, needsHost] of [
  ['openai', '/v1/chat/completions', true],
  ['ollama', '/api/chat', true],
  ['mock', '/v1/chat/completions', false],
] as const) {
  providers.add({
    name,
    dialect: name,
    flavour: {},
    path: (operation) => (operation === 'chat' ? path : undefined),
    authHeaders: () => ({}),
    needsHost,
  })
}

/** Everything that a configuration may refer to. */
interface Surroundings {
  env?: Record<string, string>
  files?: Record<string, string>
}

/** Loads a file's text, or a value as its JSON, as if the file were in `/etc/llm`. */
export function load(file: unknown, { env = {}, files = {} }: Surroundings = {}) {
  return loadModels(typeof file === 'string' ? file : JSON.stringify(file), {
    providers,
    env,
    readFile: (path) =>
      files[path] ?? assert.fail(Object.assign(new Error('no such file'), { code: 'ENOENT' })),
    baseDir: '/etc/llm',
  })
}

/** The errors of a file; none if it loads. */
export function errorsIn(file: unknown, surroundings?: Surroundings): readonly string[] {
  try {
    load(file, surroundings)
  } catch (error) {
    assert.ok(error instanceof ConfigError, String(error))
    return error.errors
  }
  return []
}

/** A file with one active model `m` in the group `g`. */
export function modelFile(...list: unknown[]) {
  return { g: { m: { providers: list } }, active_models: { g: ['m'] } }
}

/** The target made from one provider of type `openai`. */
export function targetOf(provider: Record<string, unknown>, surroundings?: Surroundings): Target {
  const file = modelFile({ api_type: 'openai', api_host: 'http://h', ...provider })
  return load(file, surroundings).models[0]?.targets[0] ?? assert.fail('there is no target')
}

/** The errors of a file with one provider of type `openai`. */
export function providerErrors(
  provider: Record<string, unknown>,
  surroundings?: Surroundings,
): readonly string[] {
  return errorsIn(modelFile({ api_type: 'openai', api_host: 'http://h', ...provider }), surroundings)
}

/** The path of that provider. */
export const at = 'g["m"].providers[0]'
