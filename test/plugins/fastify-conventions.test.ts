import assert from 'node:assert/strict'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { post } from '../helpers/http.ts'
import { modelsConfig } from '../helpers/models-config.ts'
import { startRouter, type TestRouter } from '../helpers/router.ts'

let router: TestRouter

before(async () => {
  router = await startRouter({
    env: { LLM_ROUTER_EXTENSIONS: join(import.meta.dirname, '../fixtures/extensions/conventions.ts') },
    models: modelsConfig({ demo: [{ api_type: 'mock' }] }),
  })
})
after(() => router.close())

async function got(path: string): Promise<{ status: number; body: Record<string, unknown>; text: string }> {
  const response = await fetch(router.url + path)
  const text = await response.text()
  return { status: response.status, body: JSON.parse(text), text }
}

test('a plain JSON Schema validates a body, coerces it and fills in defaults', async () => {
  const url = `${router.url}/conventions/json-schema`
  const { text } = await post(url, { count: '3', of: { name: 'x' } })
  assert.deepEqual(JSON.parse(text), { body: { count: 3, mode: 'plain', of: { name: 'x' } } })
  for (const [body, param, message] of [
    [{}, 'count', "'count' is required"],
    [{ count: 'many' }, 'count', "'count' must be integer"],
    [{ count: 1, of: {} }, 'of.name', "'of.name' is required"],
  ] as const) {
    const answer = await post(url, body)
    assert.equal(answer.status, 400)
    const { error } = JSON.parse(answer.text)
    assert.deepEqual([error.param, error.message], [param, message])
  }
})

test('a TypeBox schema validates a body without coercion', async () => {
  const url = `${router.url}/conventions/typebox`
  assert.equal((await post(url, { count: 4 })).text, '{"double":8}')
  const { status, text } = await post(url, { count: '4' })
  assert.equal(status, 400)
  assert.equal(JSON.parse(text).error.param, 'count')
})

test('a query string is coerced by its schema, with defaults', async () => {
  assert.deepEqual((await got('/conventions/query?limit=7')).body, { limit: 7 })
  assert.deepEqual((await got('/conventions/query')).body, { limit: 5 })
  const { status, text } = await got('/conventions/query?limit=11')
  assert.equal(status, 400)
  assert.match(text, /'limit' must be <= 10/)
})

test('a response schema removes members that it does not name', async () => {
  assert.deepEqual((await got('/conventions/response')).body, { kept: 'yes' })
})

test('an error below 500 keeps its status and its message', async () => {
  for (const path of ['/conventions/error/404', '/conventions/error/404?send', '/conventions/error/409']) {
    const { status, text } = await got(path)
    assert.equal(status, path.includes('409') ? 409 : 404)
    const { error } = JSON.parse(text)
    assert.deepEqual([error.message, error.code], ['the shelf is empty', 'SHELF_EMPTY'])
  }
})

test('an error of 500 and above keeps its status and exposes no internals', async () => {
  for (const status of [500, 503, 507]) {
    const logged = router.logged(({ msg }) => msg === 'internal error')
    const answer = await got(`/conventions/error/${status}`)
    assert.equal(answer.status, status)
    assert.doesNotMatch(answer.text, /shelf|SHELF/)
    assert.match(String((await logged).error_at), /extensions\/conventions\.ts:\d+/)
  }
})
