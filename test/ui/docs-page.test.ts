import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { closedPort } from '../helpers/http.ts'
import { modelsConfig } from '../helpers/models-config.ts'
import { startPathProxy } from '../helpers/proxies/path-proxy.ts'
import { startRouter, type TestRouter } from '../helpers/router.ts'
import { pageErrorsOf } from './accessibility.ts'
import { findChromium, startBrowser, type TestBrowser } from './browser.ts'

const chromium = findChromium()
const options = chromium === undefined ? { skip: 'needs Chromium: sudo apt-get install chromium' } : {}
const pictures = process.env.LLM_ROUTER_TEST_PICTURES

const models = modelsConfig({ demo: [{ id: 'demo', api_type: 'mock' }] })

let chrome: TestBrowser | undefined
let router: TestRouter
before(async () => {
  if (chromium !== undefined) chrome = await startBrowser(chromium)
  router = await startRouter({ models })
})
after(() => Promise.all([chrome?.close(), router.close()]))

test(
  'behind a proxy that removes a path prefix, the page works, requests nothing elsewhere, and meets WCAG',
  options,
  async (t) => {
    const proxy = await startPathProxy(router.url, { path: '/llm', removed: true })
    t.after(() => proxy.close())
    const page = (await chrome?.browser.newPage()) ?? assert.fail('no browser')
    t.after(() => page.close())
    const browserErrors: string[] = []
    const elsewhere: string[] = []
    page.on('console', (message) => {
      if (['error', 'warn'].includes(message.type())) browserErrors.push(message.text())
    })
    page.on('pageerror', (error) => browserErrors.push(String(error)))
    page.on('request', (request) => {
      const url = request.url()
      if (!url.startsWith(`${proxy.url}/`) && !/^(data|blob):/.test(url)) elsewhere.push(url)
    })
    const answer = await page.goto(`${proxy.url}/docs`)
    assert.match(answer?.headers()['content-security-policy'] ?? '', /default-src 'none'.*connect-src 'self'/)
    const shown = await page.waitForSelector('::-p-text(Create a chat completion (OpenAI))')
    assert.ok(shown)
    const path = await page.waitForSelector('::-p-text(/v1/chat/completions)')
    assert.ok(path)
    const address = await page.waitForSelector(`::-p-text(${proxy.url})`)
    assert.ok(address)
    if (pictures !== undefined) await page.screenshot({ path: join(pictures, 'docs.png') })
    assert.deepEqual(await pageErrorsOf(page), [])
    assert.deepEqual([browserErrors, elsewhere, proxy.strays], [[], [], []])
  },
)

test('the script of the page is also served uncompressed', async () => {
  const url = `${router.url}/docs/scalar.js`
  const [packed, plain] = await Promise.all([
    fetch(url, { headers: { 'accept-encoding': 'gzip' } }),
    fetch(url, { headers: { 'accept-encoding': 'identity' } }),
  ])
  assert.equal(packed.headers.get('content-encoding'), 'gzip')
  assert.equal(plain.headers.get('content-encoding'), null)
  const text = await plain.text()
  assert.match(text, /createApiReference/)
  assert.equal(await packed.text(), text)
})

test('the examples use models that the router has, and change with them', async (t) => {
  const router = await startRouter({
    models: modelsConfig({
      'bge-m3': [{ api_type: 'vllm', api_host: await closedPort(), is_embedding: true }],
      llama: [{ api_type: 'mock' }],
    }),
  })
  t.after(() => router.close())
  const modelsOf = async () => {
    const { paths } = Object(await (await fetch(`${router.url}/openapi.json`)).json())
    const example = (path: string) => paths[path].post.requestBody.content['application/json'].example.model
    return ['/v1/chat/completions', '/v1/messages', '/v1/embeddings', '/api/chat', '/v1/responses'].map(
      example,
    )
  }
  assert.deepEqual(await modelsOf(), ['llama', 'llama', 'bge-m3', 'llama', 'llama'])
  writeFileSync(router.file, JSON.stringify(modelsConfig({ qwen: [{ api_type: 'mock' }] })))
  await router.app.reload.now()
  assert.deepEqual(await modelsOf(), ['qwen', 'qwen', 'my-embedding-model', 'qwen', 'qwen'])
})

test('every JSON response has a schema with content', async (t) => {
  const router = await startRouter({ models, env: { LLM_ROUTER_ADMIN_KEY: 'sk-admin-0123456789' } })
  t.after(() => router.close())
  const { paths, components } = Object(await (await fetch(`${router.url}/openapi.json`)).json())
  const empty: string[] = []
  for (const [path, methods] of Object.entries<Record<string, object>>(paths))
    for (const [method, operation] of Object.entries(methods))
      for (const [status, { content = {} }] of Object.entries<{
        content?: Record<string, { schema: object }>
      }>(Object(operation).responses)) {
        const { schema } = content['application/json'] ?? {}
        if (!schema) continue
        const name =
          String(Object(schema).$ref ?? '')
            .split('/')
            .at(-1) ?? ''
        const {
          type: _type,
          title: _title,
          description: _description,
          ...rest
        } = components.schemas[name] ?? {}
        const says = Object.values(rest).some((each) => Object.keys(Object(each)).length > 0)
        if (!says) empty.push(`${method} ${path} ${status}`)
      }
  assert.deepEqual(empty, [])
})
