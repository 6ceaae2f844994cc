import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { after, before, describe, test } from 'node:test'
import { brotliDecompressSync, gunzipSync } from 'node:zlib'
import type { HTTPRequest } from 'puppeteer-core'
import { freePort } from '../helpers/http.ts'
import { modelsConfig } from '../helpers/models-config.ts'
import { startRouter, type TestRouter } from '../helpers/router.ts'
import { adminKey } from '../teams/team-router.ts'
import type { TestBrowser } from './browser.ts'
import { browserFor, type ConsoleBrowser, chromium, needsChromium, openConsole } from './console-browser.ts'

const models = modelsConfig({ demo: [{ id: 'demo', api_type: 'mock' }] })
const allPages = ['', '/fleet', '/requests', '/playground', '/teams', '/models', '/settings']

let chrome: TestBrowser | undefined
let router: TestRouter
before(async () => {
  router = await startRouter({ models })
  if (chromium !== undefined) chrome = await browserFor()
})
after(() => Promise.all([chrome?.close(), router.close()]))

describe('the files of the console', () => {
  /** Every file that a page references, directly or through other files: import map, style sheet, modules and dynamic imports. */
  const filesOf = (path: string): Promise<URL[]> => {
    const found = known.get(path) ?? readFiles(path)
    known.set(path, found)
    return found
  }
  const known = new Map<string, Promise<URL[]>>()
  async function readFiles(path: string): Promise<URL[]> {
    const page = await fetch(router.url + path)
    const html = await page.text()
    const map: Record<string, string> = JSON.parse(
      /"importmap">(.+?)<\/script>/.exec(html)?.[1] ?? '{}',
    ).imports
    const links = [...html.matchAll(/(?:src|href)="(?!data:)([^"]+)"/g)].map(
      ([, link = '']) => new URL(link, page.url),
    )
    const files = new Map(
      [...links, ...Object.values(map).map((link) => new URL(link, page.url))].map((url) => [url.href, url]),
    )
    for (const url of files.values()) {
      if (!url.pathname.endsWith('.js')) continue
      const text = await (await fetch(url)).text()
      for (const [, name = ''] of text.matchAll(/\b(?:from\s*|import\(\s*)['"]([\w@./-]+)['"]/g)) {
        if (name === 'openai') continue // in the code that the playground copies
        if (!name.startsWith('.')) assert.ok(name in map, `${url.pathname} imports ${name}`)
        else files.set(new URL(name, url).href, new URL(name, url))
      }
    }
    return [...files.values()]
  }

  test('the compressed files of the console are below 150 KB in total, and all are from the router', async () => {
    const files = await filesOf('/ui')
    let bytes = 0
    for (const url of files) {
      assert.equal(url.origin, router.url)
      const response = await fetch(url, { headers: { 'accept-encoding': 'gzip' } })
      assert.equal(response.status, 200, url.pathname)
      await response.body?.cancel()
      bytes += Number(response.headers.get('content-length'))
    }
    assert.ok(files.length >= 20, `${files.length} files`)
    assert.ok(bytes > 50_000 && bytes < 150_000, `${bytes} bytes`)
  })

  test('a file is served as Brotli, gzip or plain, with the same content, and may be cached forever', async () => {
    for (const url of await filesOf('/ui/fleet')) {
      const raw = async (coding: string) => {
        const response = await router.app.inject({
          url: url.pathname,
          headers: { 'accept-encoding': coding },
        })
        assert.equal(response.statusCode, 200)
        assert.equal(response.headers['cache-control'], 'public, max-age=31536000, immutable')
        assert.equal(response.headers.vary, 'accept-encoding')
        return response
      }
      const [plain, br, gzip] = [
        await raw('identity'),
        await raw('gzip;q=0.5, br'),
        await raw('gzip, br;q=0'),
      ]
      assert.equal(plain.headers['content-encoding'], undefined)
      assert.deepEqual([br.headers['content-encoding'], gzip.headers['content-encoding']], ['br', 'gzip'])
      assert.deepEqual(brotliDecompressSync(br.rawPayload), plain.rawPayload)
      assert.deepEqual(gunzipSync(gzip.rawPayload), plain.rawPayload)
    }
  })

  test('a path with another version is served, and not cached', async () => {
    const [url] = (await filesOf('/ui')).filter(({ pathname }) => pathname.endsWith('app.js'))
    const other = url?.pathname.replace(/\/ui\/[^/]+\//, '/ui/0.9.0-0/') ?? ''
    const response = await fetch(router.url + other)
    assert.deepEqual([response.status, response.headers.get('cache-control')], [200, 'no-store'])
    assert.equal((await fetch(`${router.url}${other}x`)).status, 404)
    for (const outside of ['../index.html', '%2e%2e/package.json', '..%2fpackage.json'])
      assert.equal((await router.app.inject(`/ui/1/${outside}`)).statusCode, 404, outside)
  })

  test('a page runs only its own modules: the policy has the hash of its import map, and no other origin', async () => {
    for (const path of allPages) {
      const response = await fetch(`${router.url}/ui${path}`)
      assert.equal(response.status, 200, path)
      const html = await response.text()
      const map = /<script type="importmap">(.+?)<\/script>/.exec(html)?.[1] ?? ''
      const hash = createHash('sha256').update(map).digest('base64')
      const policy = response.headers.get('content-security-policy') ?? ''
      assert.match(policy, /default-src 'none'/)
      assert.ok(policy.includes(`script-src 'self' 'sha256-${hash}';`), policy)
      assert.doesNotMatch(policy, /unsafe|https?:/)
      assert.doesNotMatch(html.replaceAll('http://www.w3.org/2000/svg', ''), /https?:|style=|onclick/)
      assert.equal(response.headers.get('cache-control'), 'no-cache')
    }
    assert.equal((await fetch(`${router.url}/ui/nothing`)).status, 404)
  })
})

test('LLM_ROUTER_UI=0 disables the console, but not the status', async (t) => {
  const router = await startRouter({ models, env: { LLM_ROUTER_UI: '0' } })
  t.after(() => router.close())
  for (const path of ['/ui', '/ui/fleet', '/ui/1/app.js'])
    assert.equal((await fetch(router.url + path)).status, 404, path)
  assert.equal((await fetch(`${router.url}/api/status`)).status, 200)
})

describe('the console in a browser', needsChromium, () => {
  let console: ConsoleBrowser
  before(async () => {
    console = await openConsole(chrome ?? assert.fail('no Chromium'))
  })
  after(() => console?.close())

  test('the first page loads at most 12 files, all of them from this router', async (t) => {
    const { page, browserErrors, open, use } = console
    await use(router.url)
    const files: string[] = []
    const strays: string[] = []
    const note = (request: HTTPRequest): void => {
      if (!request.url().startsWith(router.url) && !request.url().startsWith('data:'))
        strays.push(request.url())
      if (
        ['document', 'script', 'stylesheet', 'image', 'font'].includes(request.resourceType()) &&
        !request.url().startsWith('data:')
      )
        files.push(new URL(request.url()).pathname)
    }
    page.on('request', note)
    t.after(() => page.off('request', note))
    await open('')
    await page.waitForSelector('.u-wrap canvas')
    assert.ok(files.length <= 12, files.join('\n'))
    assert.equal(new Set(files).size, files.length)
    assert.deepEqual([browserErrors, strays], [[], []])
  })

  test('a link with a key signs in, and the key is removed from the address', async (t) => {
    const router = await startRouter({ models, env: { LLM_ROUTER_ADMIN_KEY: adminKey } })
    t.after(() => router.close())
    const { page, use } = console
    await use(router.url)
    await page.goto(`${router.url}/ui/fleet#key=${adminKey}`)
    await page.waitForSelector('[data-target=demo]')
    assert.equal(page.url(), `${router.url}/ui/fleet`)
  })

  test('with an admin port the console works on that port only', async (t) => {
    const port = await freePort()
    const router = await startRouter({
      models,
      env: { LLM_ROUTER_ADMIN_PORT: String(port), LLM_ROUTER_ADMIN_KEY: adminKey },
    })
    t.after(() => router.close())
    assert.equal((await fetch(`${router.url}/ui`)).status, 404)
    const { page, browserErrors, goTo, open, signIn, use } = console
    browserErrors.length = 0
    await use(`http://127.0.0.1:${port}`)
    await signIn()
    // A page that is closed holds no connection: browsers open six to a host. Signing in has opened the first page.
    assert.ok(allPages.length > 6)
    for (const path of allPages.slice(1)) await open(path)
    await goTo('Fleet')
    await page.waitForSelector('[data-target=demo]')
    await page.waitForSelector('#as-of[data-state=live]')
    await goTo('Teams')
    await page.waitForSelector('::-p-text(no database)')
    assert.deepEqual(
      browserErrors.filter((each) => !/status of 404/.test(each)),
      [],
    )
  })
})
