import assert from 'node:assert/strict'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { modelsConfig, startRouter } from '../helpers/router.ts'
import { findChromium, startBrowser, type TestBrowser } from './browser.ts'

const chromium = findChromium()
const options = chromium === undefined ? { skip: 'needs Chromium: sudo apt-get install chromium' } : {}
const pictures = process.env.LLM_ROUTER_TEST_PICTURES

let chrome: TestBrowser | undefined
before(async () => {
  if (chromium !== undefined) chrome = await startBrowser(chromium)
})
after(() => chrome?.close())

const models = modelsConfig({ demo: [{ id: 'demo', api_type: 'mock' }] })

test('the page shows the endpoints and asks no other server for anything', options, async (t) => {
  const router = await startRouter({ models })
  const page = (await chrome?.browser.newPage()) ?? assert.fail('no browser')
  t.after(async () => {
    await page.close()
    await router.close()
  })
  const complaints: string[] = []
  const elsewhere: string[] = []
  page.on('console', (message) => {
    if (['error', 'warn'].includes(message.type())) complaints.push(message.text())
  })
  page.on('pageerror', (error) => complaints.push(String(error)))
  page.on('request', (request) => {
    const url = request.url()
    if (!url.startsWith(`${router.url}/`) && !/^(data|blob):/.test(url)) elsewhere.push(url)
  })
  const answer = await page.goto(`${router.url}/docs`)
  assert.match(answer?.headers()['content-security-policy'] ?? '', /default-src 'none'.*connect-src 'self'/)
  const shown = await page.waitForSelector('::-p-text(Create a chat completion (OpenAI))')
  assert.ok(shown)
  const path = await page.waitForSelector('::-p-text(/v1/chat/completions)')
  assert.ok(path)
  if (pictures !== undefined) await page.screenshot({ path: join(pictures, 'docs.png') })
  assert.deepEqual([complaints, elsewhere], [[], []])
})

test('who takes no gzip gets the script of the page too', async (t) => {
  const router = await startRouter({ models })
  t.after(() => router.close())
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
