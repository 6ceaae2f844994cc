import assert from 'node:assert/strict'
import { test } from 'node:test'
import { errorsAtPositions } from '../../src/config/config-path.ts'
import { errorsIn, load } from '../helpers/models-file.ts'

const gpuA = {
  id: 'gpu-a',
  api_type: 'openai',
  api_host: 'http://gpu-a:8000',
  api_token: 'key-a',
  weight: 0.5,
}

function file(rest: Record<string, unknown>, ...providers: object[]): Record<string, unknown> {
  return { servers: [gpuA], g: { m: { providers } }, active_models: { g: ['m'] }, ...rest }
}

test('a provider inherits from its server what it does not set itself', () => {
  const { models } = load(
    file({}, { server: 'gpu-a' }, { server: 'gpu-a', api_token: 'own', weight: 1, model_path: 'large' }),
  )
  const [first, second] = models[0]?.targets ?? []
  assert.deepEqual(
    [first?.id, first?.origin, first?.token, first?.weight, first?.upstreamModel],
    ['gpu-a/m', 'http://gpu-a:8000', 'key-a', 0.5, 'm'],
  )
  assert.deepEqual(
    [second?.id, second?.origin, second?.token, second?.weight, second?.upstreamModel],
    ['gpu-a/m#1', 'http://gpu-a:8000', 'own', 1, 'large'],
  )
})

test("a provider's own key replaces a key file of its server", () => {
  const servers = [{ ...gpuA, api_token: undefined, api_token_file: 'key' }]
  const { models } = load(file({ servers }, { server: 'gpu-a', api_token: 'own' }, { server: 'gpu-a' }), {
    files: { '/etc/llm/key': 'from-file' },
  })
  assert.deepEqual(
    models[0]?.targets.map(({ token }) => token),
    ['own', 'from-file'],
  )
})

test('an unknown server is an error that suggests the closest name', () => {
  assert.deepEqual(errorsIn(file({}, { server: 'gpu-b' })), [
    'g["m"].providers[0].server: no server "gpu-b"; known: gpu-a; did you mean "gpu-a"?',
  ])
})

test('an error in a server is reported once, at the server', () => {
  const servers = [{ ...gpuA, api_type: 'opnai', api_host: 'gpu-a:8000' }]
  assert.deepEqual(errorsIn(file({ servers }, { server: 'gpu-a' }, { server: 'gpu-a' })), [
    'servers[0].api_type: "opnai" is unknown; known: openai, ollama, mock; did you mean "openai"?',
    'servers[0].api_host: is not an http:// or https:// address; http:// is missing in front',
  ])
})

test('a server is validated even if no provider refers to it', () => {
  const servers = [gpuA, { id: 'gpu-b', api_type: 'ollama', api_token_file: 'none' }]
  assert.deepEqual(errorsIn(file({ servers }, { server: 'gpu-a' })), [
    'servers[1].api_host: missing; ollama needs the address of its server',
    'servers[1].api_token_file: cannot read "none": no such file (ENOENT)',
  ])
})

test('two servers cannot have the same id, and every server has an id', () => {
  const servers = [gpuA, gpuA, { api_type: 'mock' }]
  assert.deepEqual(errorsIn(file({ servers }, { server: 'gpu-a' })), [
    'servers[1].id: "gpu-a" is also the id of servers[0]',
    'servers[2].id: missing; it must be a name for the server',
  ])
})

test('a misspelt member of a server is a warning', () => {
  const servers = [{ ...gpuA, helth_check: false }]
  assert.deepEqual(load(file({ servers }, { server: 'gpu-a' })).warnings, [
    'servers[0].helth_check: no such field, it has no effect; did you mean "health_check"?',
  ])
})

test('groups cannot be called servers or aliases', () => {
  const models = { m: { providers: [{ api_type: 'mock' }] } }
  assert.deepEqual(errorsIn({ servers: models, active_models: { servers: ['m'] } }), [
    'servers: not a list of servers; this name is reserved, so rename the group of models',
    'active_models.servers: the name "servers" is reserved; a group of models needs another name',
  ])
  assert.deepEqual(errorsIn({ aliases: models, active_models: { aliases: ['m'] } }), [
    'active_models.aliases: the name "aliases" is reserved; a group of models needs another name',
    'aliases.m: an object is not the name of a model; the name "aliases" is reserved, so a group of models needs another name',
  ])
})

test('an alias refers to an active model, not to another alias, itself or an unknown model', () => {
  const aliases = {
    'gpt-4o': 'm',
    two: 'gpt-4o',
    three: 'three',
    m: 'm',
    four: 'mm',
    five: 5,
    active: 'gemma',
  }
  const g = { m: { providers: [gpuA] }, gemma: { providers: [gpuA] } }
  assert.deepEqual(errorsIn({ g, aliases, active_models: { g: ['m'] } }), [
    'aliases.two: "gpt-4o" is an alias too; name the model itself',
    'aliases.three: an alias cannot refer to itself',
    'aliases.m: there is a model of this name',
    'aliases.four: no active model "mm"',
    'aliases.five: 5 is not the name of a model',
    'aliases.active: no active model "gemma"',
  ])
})

test('errors in servers and aliases have their line and column', () => {
  const text = `{
  "servers": [
    { "id": "gpu-a", "api_type": "opnai", "api_host": "http://h" }
  ],
  "aliases": { "gpt-4o": "lama" },
  "g": { "llama": { "providers": [{ "server": "gpu-b" }] } },
  "active_models": { "g": ["llama"] }
}`
  const positions = errorsAtPositions(errorsIn(text), text, 'f').map((error) => error.split(' ')[0])
  assert.deepEqual(positions, ['f:6:47:', 'f:3:34:', 'f:5:26:'])
})
