import assert from 'node:assert/strict'
import { loadModels } from '../../src/config/models/load.ts'
import { ConfigError } from '../../src/sdk/errors.ts'
import type { ProviderType } from '../../src/sdk/provider.ts'
import { Registry } from '../../src/sdk/registry.ts'
import type { Target } from '../../src/sdk/target.ts'

/** Stand-ins for the real types: what the configuration asks of a type is all they have. */
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

/** What a configuration may refer to. */
interface Surroundings {
  env?: Record<string, string>
  files?: Record<string, string>
}

/** Loads a file's text, or the value that its JSON stands for, as if it lay in `/etc/llm`. */
export function load(file: unknown, { env = {}, files = {} }: Surroundings = {}) {
  return loadModels(typeof file === 'string' ? file : JSON.stringify(file), {
    providers,
    env,
    readFile: (path) =>
      files[path] ?? assert.fail(Object.assign(new Error('no such file'), { code: 'ENOENT' })),
    baseDir: '/etc/llm',
  })
}

/** The faults of a file; none when it loads. */
export function faultsOf(file: unknown, surroundings?: Surroundings): readonly string[] {
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

/** The target that one provider of type `openai` gives. */
export function targetOf(provider: Record<string, unknown>, surroundings?: Surroundings): Target {
  const file = modelFile({ api_type: 'openai', api_host: 'http://h', ...provider })
  return load(file, surroundings).models[0]?.targets[0] ?? assert.fail('no target')
}

/** The faults of a file with one provider of type `openai`. */
export function providerFaults(
  provider: Record<string, unknown>,
  surroundings?: Surroundings,
): readonly string[] {
  return faultsOf(modelFile({ api_type: 'openai', api_host: 'http://h', ...provider }), surroundings)
}

/** The place of that provider. */
export const at = 'g["m"].providers[0]'
