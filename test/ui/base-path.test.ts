import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import type { HTTPRequest, Page } from 'puppeteer-core'
import { request } from 'undici'
import { keysFile } from '../helpers/keys-file.ts'
import { modelsConfig } from '../helpers/models-config.ts'
import { type PathProxy, startPathProxy } from '../helpers/proxies/path-proxy.ts'
import { startRouter, type TestRouter } from '../helpers/router.ts'
import { findChromium, startBrowser, type TestBrowser } from './browser.ts'

const chromium = findChromium()
const options = chromium === undefined ? { skip: 'needs Chromium: sudo apt-get install chromium' } : {}
const models = modelsConfig({ demo: [{ id: 'demo', api_type: 'mock' }] })

const scriptThatTells =
  'globalThis.Scalar = { createApiReference: (_element, options) => { globalThis.calledWith = options } }'

let chrome: TestBrowser | undefined
/** One page for all tests. */
let tab: Page
before(async () => {
  if (chromium === undefined) return
  chrome = await startBrowser(chromium)
  tab = await chrome.browser.newPage()
})
after(async () => {
  await tab?.close()
  await chrome?.close()
})

/** The script of three megabytes takes seconds: a stub records its options instead. docs-page.test.ts loads the real one. */
function withoutScript(asked: HTTPRequest): void {
  if (!asked.url().endsWith('/scalar.js')) void asked.continue()
  else void asked.respond({ contentType: 'text/javascript', body: scriptThatTells })
}

for (const { name, removed, env, root = '/llm' } of [
  { name: 'removed by the proxy', removed: true, env: {} },
  { name: 'kept, with LLM_ROUTER_BASE_PATH', removed: false, env: { LLM_ROUTER_BASE_PATH: '/llm' } },
  // Some endpoints are then outside it, such as /v1/models beside /llm/v1/models.
  { name: 'kept, as LLM_ROUTER_EP_PREFIX', removed: false, env: { LLM_ROUTER_EP_PREFIX: '/llm' }, root: '/' },
  {
    name: 'removed, though LLM_ROUTER_BASE_PATH is set',
    removed: true,
    env: { LLM_ROUTER_BASE_PATH: '/llm', LLM_ROUTER_EP_PREFIX: '' },
  },
]) {
  describe(`a base path that is ${name}`, () => {
    let router: TestRouter
    let proxy: PathProxy
    before(async () => {
      router = await startRouter({ models, env })
      proxy = await startPathProxy(router.url, { path: '/llm', removed })
    })
    after(() => Promise.all([proxy.close(), router.close()]))

    // Pages at the same depth name the same files.
    const statuses = new Map<string, Promise<number>>()
    const statusOf = async (url: string): Promise<number> => {
      const { statusCode, body } = await request(url, { headers: { 'accept-encoding': 'gzip' } })
      await body.dump()
      return statusCode
    }

    for (const page of ['/ui', '/ui/', '/ui/fleet', '/ui/fleet/?target=demo', '/docs', '/docs/?x=1']) {
      test(`${page} names only files that load from its own address`, async () => {
        const response = await fetch(proxy.url + page)
        assert.equal(response.status, 200)
        const html = await response.text()
        const links = [...html.matchAll(/(?:src|href)="(?!#|data:)([^"]+)"/g)].map(([, link = '']) => link)
        assert.ok(links.length >= 3)
        for (const link of links) {
          const { href } = new URL(link, response.url)
          const status = statuses.get(href) ?? statusOf(href)
          statuses.set(href, status)
          assert.equal(await status, 200, link)
        }
      })
    }

    test('the OpenAPI document has the address of the router', async () => {
      const address = `${proxy.url}/openapi.json`
      const { servers } = Object(await (await fetch(address)).json())
      const { pathname } = new URL(`${servers[0].url}/x`, address)
      assert.equal(pathname, `${root === '/' ? '' : root}/x`)
    })

    test('the console is live, and its pages can be reloaded from their own addresses', options, async () => {
      await tab.goto(`${proxy.url}/ui`)
      await tab.waitForSelector('#as-of[data-state=live]')
      await tab.click('nav a[href$="/fleet"]')
      await tab.waitForSelector('[data-target=demo]')
      await tab.reload()
      await tab.waitForSelector('[data-target=demo]')
    })

    test('the documentation has the addresses of its document and of the router', options, async (t) => {
      const shown = new URL(root, proxy.url).href.replace(/\/$/, '')
      await tab.setRequestInterception(true)
      tab.on('request', withoutScript)
      t.after(() => {
        tab.off('request', withoutScript)
        return tab.setRequestInterception(false)
      })
      await tab.goto(`${proxy.url}/docs`)
      const called = await tab.waitForFunction(() => Object(globalThis).calledWith, { polling: 20 })
      const { url, servers } = Object(await called.jsonValue())
      assert.deepEqual([new URL(url).pathname, servers[0].url], ['/llm/openapi.json', shown])
      assert.equal((await fetch(url)).status, 200)
    })

    test('no page requests anything outside the base path', () => {
      assert.deepEqual(proxy.strays, [])
    })
  })
}

describe('LLM_ROUTER_BASE_PATH', () => {
  const env = { LLM_ROUTER_BASE_PATH: '/team/llm' }

  test('every dialect is served below it, with its own error format, and without it as before', async (t) => {
    const router = await startRouter({ models, env })
    t.after(() => router.close())
    for (const head of ['', '/team/llm']) {
      const url = router.url + head
      for (const path of ['/v1/models', '/api/tags', '/livez', '/readyz', '/ping', '/api/status', '/?x', ''])
        assert.equal((await fetch(url + path)).status, 200, head + path)
      const ollama = await fetch(`${url}/api/nothing`)
      assert.deepEqual([ollama.status, typeof Object(await ollama.json()).error], [404, 'string'])
      const openai = await fetch(`${url}/v1/chat/completions`)
      const { error, ...rest } = Object(await openai.json())
      assert.deepEqual([openai.status, openai.headers.get('allow'), rest], [405, 'POST', {}])
      assert.equal(error.code, 'method_not_allowed')
    }
    assert.equal((await fetch(`${router.url}/team/llmx/v1/models`)).status, 404)
  })

  test('a key is required below it too', async (t) => {
    const file = keysFile([{ id: 'a', key: 'sk-0123456789abcdefghij' }])
    const router = await startRouter({ models, env: { ...env, ...file.env } })
    t.after(async () => {
      await router.close()
      file.remove()
    })
    assert.equal((await fetch(`${router.url}/team/llm/v1/models`)).status, 401)
    assert.equal((await fetch(`${router.url}/team/llm/livez`)).status, 200)
    const headers = { authorization: 'Bearer sk-0123456789abcdefghij' }
    assert.equal((await fetch(`${router.url}/team/llm/v1/models`, { headers })).status, 200)
    assert.equal((await fetch(`${router.url}/team/llm/api/status`, { headers })).status, 403)
  })

  for (const basePath of ['/v1', '/api', '/ui', '/api/status'])
    test(`the start rejects ${basePath}, which is a path of the router`, async () => {
      const start = startRouter({ models, env: { LLM_ROUTER_BASE_PATH: basePath } })
      await assert.rejects(start, ({ errors: [error] }: { errors: string[] }) =>
        Boolean(error?.startsWith(`LLM_ROUTER_BASE_PATH: ${basePath} would hide`)),
      )
    })
})
