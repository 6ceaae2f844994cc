import assert from 'node:assert/strict'
import { test } from 'node:test'
import { hostError, joinUrl } from '../../src/config/targets/target-url.ts'

const openai = '/v1/chat/completions'
const ollama = '/api/chat'

const joins: [what: string, host: string, standard: string, path: string][] = [
  ['the root of a host gets the standard path', 'http://h:8000', openai, '/v1/chat/completions'],
  ['slashes at the end do not double', 'http://h:8000//', openai, '/v1/chat/completions'],
  ['a base that ends in /v1 has its version already', 'https://h/v1', openai, '/v1/chat/completions'],
  ['a slash after the version changes nothing', 'https://h/v1/', openai, '/v1/chat/completions'],
  ['another version stays', 'https://h/v2', openai, '/v2/chat/completions'],
  ['a version with a word stays', 'https://h/v1beta', openai, '/v1beta/chat/completions'],
  ['a version below the root stays', 'https://h/api/v0', openai, '/api/v0/chat/completions'],
  ['the root of an OpenAI look-alike', 'https://h/v1beta/openai', openai, '/v1beta/openai/chat/completions'],
  ['the look-alike with a version', 'https://h/openai/v1', openai, '/openai/v1/chat/completions'],
  ['a whole operation is used as it is', 'https://h/x/chat/completions', openai, '/x/chat/completions'],
  ['a whole operation with a slash', 'https://h/v1/chat/completions/', openai, '/v1/chat/completions'],
  ['the prefix of a reverse proxy stays', 'https://h/gpu-1', openai, '/gpu-1/v1/chat/completions'],
  ['a name that only begins like a version', 'https://h/vllm', openai, '/vllm/v1/chat/completions'],
  ['a query string stays', 'https://h/v1?api-version=2', openai, '/v1/chat/completions?api-version=2'],
  ['ollama at the root', 'http://h:11434', ollama, '/api/chat'],
  ['ollama with its /api', 'http://h:11434/api/', ollama, '/api/chat'],
  ['ollama with its whole operation', 'http://h:11434/api/chat', ollama, '/api/chat'],
  ['ollama behind a prefix', 'https://h/ollama', ollama, '/ollama/api/chat'],
  ['ollama by its OpenAI root is called natively', 'http://h:11434/v1', ollama, '/api/chat'],
  ['ollama by its OpenAI operation too', 'http://h:11434/v1/chat/completions', ollama, '/api/chat'],
  ['ollama behind a prefix by its OpenAI root', 'http://h/ollama/v1/', ollama, '/ollama/api/chat'],
  ['another operation at the root of a version', 'https://h/v1', '/v1/embeddings', '/v1/embeddings'],
  [
    'another operation beside a whole one',
    'https://h/x/v1/chat/completions',
    '/v1/embeddings',
    '/x/v1/embeddings',
  ],
  ['an unversioned operation', 'http://h/v1', '/tokenize', '/tokenize'],
  ['an unversioned operation behind a prefix', 'http://h/gpu/v1/', '/tokenize', '/gpu/tokenize'],
  ['an unversioned operation, from a full URL', 'http://h/v1/chat/completions', '/tokenize', '/tokenize'],
  ['another operation of ollama', 'http://h:11434/api', '/api/embed', '/api/embed'],
  ['another operation of ollama by its whole chat', 'http://h:11434/api/chat', '/api/embed', '/api/embed'],
  [
    'another operation of Anthropic by its whole one',
    'https://h/v1/messages',
    '/v1/messages/count_tokens',
    '/v1/messages/count_tokens',
  ],
  ['another operation of ollama by its OpenAI root', 'http://h:11434/v1', '/api/generate', '/api/generate'],
]

for (const [what, host, standard, path] of joins) {
  test(`${what}: ${host} + ${standard}`, () => assert.equal(joinUrl(host, standard).path, path))
}

test('the origin is scheme, host and port, without a default port', () => {
  assert.equal(joinUrl('http://192.0.2.1:8000/v1', openai).origin, 'http://192.0.2.1:8000')
  assert.equal(joinUrl('https://api.example.com:443/v1', openai).origin, 'https://api.example.com')
})

test('an override of a path is relative to the root of the host', () => {
  assert.deepEqual(joinUrl('http://h/v1', openai, '/api/chat/completions'), {
    origin: 'http://h',
    path: '/api/chat/completions',
  })
  assert.equal(joinUrl('http://h', openai, 'x').path, '/x')
})

test('an override of a path cannot change the host', () => {
  assert.deepEqual(joinUrl('http://h', openai, '//other.example/x'), {
    origin: 'http://h',
    path: '//other.example/x',
  })
})

test('the queries of base and override are both kept', () => {
  assert.equal(joinUrl('http://h/v1?a=1', openai, '/x?b=2').path, '/x?a=1&b=2')
})

test('an address is http or https', () => {
  assert.equal(hostError('http://localhost:11434'), undefined)
  assert.equal(hostError('https://api.example.com/v1'), undefined)
  for (const bad of ['ftp://h', '192.0.2.1:8000', 'localhost:8000', 'h', '', 'http://'])
    assert.match(hostError(bad) ?? '', /http:\/\/ or https:\/\//, bad)
})

test('a user name or password in an address is rejected, and not shown', () => {
  const error = hostError('http://me:hunter2@h/v1') ?? ''
  assert.match(error, /user name or password/)
  assert.doesNotMatch(error, /hunter2|me:/)
})
