import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { type TestContext, test } from 'node:test'
import { post } from '../helpers/http.ts'
import { messages } from '../helpers/messages.ts'
import { startRouter, type TestRouter, type TestRouterOptions } from '../helpers/router.ts'
import { startRouterProcess } from '../helpers/router-process.ts'
import {
  type Behaviour,
  ollamaText,
  openaiText,
  type RecordedRequest,
  type ScriptedUpstream,
  startUpstream,
} from '../helpers/scripted-upstream.ts'

interface FakeServer extends ScriptedUpstream {
  models: string[]
}

function ask(model: string): object {
  return { model, messages }
}

function reply(body: unknown, status = 200): Behaviour {
  return { kind: 'reply', status, body }
}

/** An Ollama server whose models can be changed. Models named `embed-...` are for embeddings, as only `/api/show` says. */
async function ollama(t: TestContext, ...models: string[]): Promise<FakeServer> {
  const server = await startUpstream(({ url, body }) => {
    if (url === '/api/tags')
      return reply({
        models: fake.models.map((name) => ({ name, digest: name, capabilities: ['completion'] })),
      })
    if (url === '/api/show') {
      const { model } = Object(body)
      return reply({
        capabilities: String(model).startsWith('embed') ? ['embedding'] : ['completion', 'tools'],
        details: { family: 'llama' },
      })
    }
    return ollamaText('Hi')
  })
  const fake: FakeServer = Object.assign(server, { models })
  t.after(() => server.close())
  return fake
}

/** A vLLM server whose models can be changed. */
async function vllm(t: TestContext, ...models: string[]): Promise<FakeServer> {
  const server = await startUpstream(({ url }) =>
    url === '/v1/models'
      ? reply({
          object: 'list',
          data: fake.models.map((id) => ({ id, owned_by: 'vllm', max_model_len: 4096 })),
        })
      : openaiText('Hi'),
  )
  const fake: FakeServer = Object.assign(server, { models })
  t.after(() => server.close())
  return fake
}

async function router(t: TestContext, options: TestRouterOptions): Promise<TestRouter> {
  const started = await startRouter({ ...options, env: { LLM_ROUTER_DNS_INTERVAL: '0.3', ...options.env } })
  t.after(() => started.close())
  return started
}

interface Listed {
  id: string
}

async function listed(url: string): Promise<string[]> {
  const list = (await (await fetch(`${url}/v1/models`)).json()) as { data: Listed[] } // our own route
  return list.data.map(({ id }) => id)
}

function chats({ requests }: ScriptedUpstream): RecordedRequest[] {
  return requests.filter(({ url }) => url.endsWith('/chat') || url.endsWith('/completions'))
}

/** Fulfilled when the router's view of a server has changed. */
function changed({ logged }: Pick<TestRouter, 'logged'>, target: string): Promise<unknown> {
  return logged(
    ({ msg, added, removed }) =>
      msg === 'models or addresses of servers changed' && [added, removed].flat().includes(target),
  )
}

test('a server with "models": "*" serves its own models, from the start, without active_models', async (t) => {
  const server = await ollama(t, 'llama3.1:8b', 'embed-text')
  const { url, app } = await router(t, {
    models: { servers: [{ id: 'gpu-a', api_type: 'ollama', api_host: server.url, models: '*' }] },
  })
  assert.deepEqual(await listed(url), ['llama3.1:8b', 'embed-text'])
  const answer = await post(`${url}/v1/chat/completions`, ask('llama3.1:8b'))
  assert.equal(answer.status, 200)
  assert.equal(Object(chats(server)[0]?.body).model, 'llama3.1:8b')
  const shown = JSON.parse((await post(`${url}/api/show`, { model: 'embed-text' })).text)
  assert.deepEqual(shown.capabilities, ['embedding'])
  assert.deepEqual(
    app.models.all().map(({ alias, embedding }) => [alias, embedding]),
    [
      ['llama3.1:8b', false],
      ['embed-text', true],
    ],
  )
})

test('models that a server gains and loses appear and disappear; those that stay keep their targets', async (t) => {
  const server = await ollama(t, 'stays', 'goes')
  const started = await router(t, {
    models: { servers: [{ id: 'gpu-a', api_type: 'ollama', api_host: server.url, models: '*' }] },
  })
  const target = started.app.models.find('stays')?.targets[0]
  server.models = ['stays', 'comes']
  await changed(started, 'gpu-a/comes')
  assert.deepEqual(await listed(started.url), ['stays', 'comes'])
  assert.equal(started.app.models.find('stays')?.targets[0], target)
  assert.equal((await post(`${started.url}/v1/chat/completions`, ask('goes'))).status, 404)
})

test('a server that stops answering keeps its models', async (t) => {
  const server = await vllm(t, 'llama')
  const { url } = await router(t, {
    models: { servers: [{ id: 'gpu-a', api_type: 'vllm', api_host: server.url, models: '*' }] },
  })
  const before = server.requests.length
  server.rescript(({ url: path }) => (path === '/v1/models' ? reply('<html>', 502) : openaiText('Hi')))
  await server.requestReceived(before)
  await server.requestReceived(before + 1)
  assert.deepEqual(await listed(url), ['llama'])
})

test('a server that is down at startup serves its models once it answers', async (t) => {
  const server = await vllm(t, 'llama')
  server.rescript(reply('', 503))
  const started = await router(t, {
    models: { servers: [{ id: 'gpu-a', api_type: 'vllm', api_host: server.url, models: '*' }] },
  })
  assert.deepEqual(await listed(started.url), [])
  server.rescript(({ url }) => (url === '/v1/models' ? reply({ data: [{ id: 'late' }] }) : openaiText('Hi')))
  await changed(started, 'gpu-a/late')
  assert.deepEqual(await listed(started.url), ['late'])
})

test('`names` makes differently named models of two servers one model with two targets', async (t) => {
  const [one, two] = [await ollama(t, 'llama3.1:8b'), await vllm(t, 'meta-llama/Llama-3.1-8B-Instruct')]
  const { url } = await router(t, {
    models: {
      servers: [
        { id: 'a', api_type: 'ollama', api_host: one.url, models: '*', names: { 'llama3.1:8b': 'llama' } },
        {
          id: 'b',
          api_type: 'vllm',
          api_host: two.url,
          models: '*',
          names: { 'meta-llama/Llama-3.1-8B-Instruct': 'llama' },
        },
      ],
      aliases: { 'gpt-4o': 'llama' },
    },
  })
  assert.deepEqual(await listed(url), ['llama', 'gpt-4o'])
  for (const name of ['llama', 'gpt-4o']) {
    const answer = await post(`${url}/v1/chat/completions`, ask(name))
    assert.equal(JSON.parse(answer.text).model, name)
  }
  assert.equal(Object(chats(one)[0]?.body).model, 'llama3.1:8b')
  assert.equal(Object(chats(two)[0]?.body).model, 'meta-llama/Llama-3.1-8B-Instruct')
})

test('an explicit model wins over a published one of the same name', async (t) => {
  const [explicit, published] = [await vllm(t), await vllm(t, 'llama', 'other')]
  const { url } = await router(t, {
    models: {
      servers: [{ id: 'b', api_type: 'vllm', api_host: published.url, models: '*' }],
      g: { llama: { providers: [{ api_type: 'vllm', api_host: explicit.url }] } },
      active_models: { g: ['llama'] },
    },
  })
  assert.deepEqual(await listed(url), ['llama', 'other'])
  await post(`${url}/v1/chat/completions`, ask('llama'))
  await post(`${url}/v1/chat/completions`, ask('llama'))
  assert.deepEqual([chats(explicit).length, chats(published).length], [2, 0])
})

test('a list of names publishes only these models, by public or upstream name', async (t) => {
  const server = await ollama(t, 'a', 'b', 'embed-c')
  const { url, app } = await router(t, {
    models: {
      servers: [
        {
          id: 'gpu-a',
          api_type: 'ollama',
          api_host: server.url,
          models: ['a', 'public', 'not-there-yet'],
          names: { 'embed-c': 'public' },
        },
      ],
    },
  })
  assert.deepEqual(await listed(url), ['a', 'public', 'not-there-yet'])
  assert.equal(app.models.find('public')?.embedding, true)
})

test('in a cluster one process asks the servers, and every worker serves their models', async (t) => {
  const server = await ollama(t, 'first')
  const started = await startRouterProcess({
    models: { servers: [{ id: 'gpu-a', api_type: 'ollama', api_host: server.url, models: '*' }] },
    env: {
      LLM_ROUTER_SERVER_TYPE: 'cluster',
      LLM_ROUTER_SERVER_WORKERS_COUNT: '2',
      LLM_ROUTER_DNS_INTERVAL: '1',
    },
  })
  t.after(() => started.stop())
  await started.listening(2)
  // A process asks for the details of a model only once.
  assert.equal(server.requests.filter(({ url }) => url === '/api/show').length, 1)
  server.models = ['first', 'second']
  await changed(started, 'gpu-a/second')
  for (let count = 0; count < 8; count++) {
    const answer = await post(`${started.url}/v1/chat/completions`, ask('second'), {
      'content-type': 'application/json',
      connection: 'close',
    })
    assert.equal(answer.status, 200)
  }
})

test('an invalid file does not stop the router from following the servers of the configuration in use', async (t) => {
  const server = await ollama(t, 'first')
  const started = await router(t, {
    models: { servers: [{ id: 'gpu-a', api_type: 'ollama', api_host: server.url, models: '*' }] },
  })
  writeFileSync(started.file, '{"servers": [{"id": "gpu-a", "api_type": "olama"}]}')
  await started.app.reload.now()
  await started.logged(({ errors }) => Array.isArray(errors))
  server.models = ['first', 'second']
  await changed(started, 'gpu-a/second')
  assert.deepEqual(await listed(started.url), ['first', 'second'])
})

test('a model that a server publishes with half a surrogate pair in its name answers', async (t) => {
  const server = await vllm(t, 'half\ud800')
  const { url } = await router(t, {
    models: { servers: [{ id: 'gpu-a', api_type: 'vllm', api_host: server.url, models: '*' }] },
  })
  for (const stream of [false, true]) {
    const { status, headers } = await post(`${url}/v1/chat/completions`, { ...ask('half\ud800'), stream })
    assert.equal(status, 200)
    assert.equal(headers.get('x-llm-router-model'), 'half%EF%BF%BD')
  }
})
