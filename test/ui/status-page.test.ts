import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import type { Page } from 'puppeteer-core'
import { closedPort, post } from '../helpers/http.ts'
import { startRouter, type TestRouter } from '../helpers/router.ts'
import { startRouterProcess } from '../helpers/router-process.ts'
import { startUpstream } from '../helpers/scripted-upstream.ts'
import { findChromium, startBrowser, type TestBrowser } from './browser.ts'

/** What the functions find that run in the browser. */
declare const document: {
  activeElement: { id: string; className: string } | null
  body: { append(child: unknown): void }
  documentElement: { scrollWidth: number }
  createElement(name: string): { textContent: string }
  querySelector(selector: string): { textContent: string } | null
}
declare const window: { innerWidth: number }
declare function getComputedStyle(element: unknown): { outlineStyle: string }

const chromium = findChromium()
const options = chromium === undefined ? { skip: 'needs Chromium: sudo apt-get install chromium' } : {}
const evil = '<img src=x onerror="window.hacked=1">&amp;<script>window.hacked=1</script>'
/** For a person who wants to look: a folder in which pictures of the page are left. */
const pictures = process.env.LLM_ROUTER_TEST_PICTURES

let chrome: TestBrowser | undefined
before(async () => {
  if (chromium !== undefined) chrome = await startBrowser(chromium)
})
after(() => chrome?.close())

interface OpenPage {
  page: Page
  router: TestRouter
  /** What the browser complained of: errors, broken loads, refusals of its security policy. */
  complaints: string[]
  chat(model: string): Promise<number>
}

/** A router with servers that work and that do not, its page in a browser, and both closed after the test. */
async function open(t: { after(end: () => unknown): void }): Promise<OpenPage> {
  const busy = await startUpstream({ kind: 'reply', status: 503, body: { error: { message: 'overloaded' } } })
  const router = await startRouter({
    models: {
      g: {
        llama: {
          providers: [
            { id: 'gpu1', api_type: 'mock', mock: { reply: 'one two three', first_token_ms: 20 } },
            { id: 'gpu2', api_type: 'vllm', api_host: await closedPort() },
          ],
          providers_sleep: [{ id: 'spare', api_type: 'mock' }],
        },
        [evil]: { providers: [{ id: `${evil} box`, api_type: 'mock' }] },
        broken: { providers: [{ id: 'gpu3', api_type: 'vllm', api_host: busy.url }] },
      },
      active_models: { g: ['llama', evil, 'broken'] },
    },
  })
  const page = (await chrome?.browser.newPage()) ?? assert.fail('no browser')
  t.after(async () => {
    await page.close()
    await Promise.all([router.close(), busy.close()])
  })
  const complaints: string[] = []
  page.on('console', (message) => complaints.push(message.text()))
  page.on('pageerror', (error) => complaints.push(String(error)))
  page.on('requestfailed', (request) => complaints.push(`failed: ${request.url()}`))
  page.on('response', (response) => {
    if (response.status() >= 400) complaints.push(`${response.status()}: ${response.url()}`)
  })
  await page.goto(`${router.url}/ui`)
  await page.waitForSelector('#servers tbody tr:nth-child(2)')
  return {
    page,
    router,
    complaints,
    chat: async (model) => {
      const body = { model, messages: [{ role: 'user', content: 'x' }] }
      return (await post(`${router.url}/v1/chat/completions`, body)).status
    },
  }
}

function textOf(page: Page, selector: string): Promise<string> {
  return page.$eval(selector, (element) => element.textContent)
}

/** The cells of a server's row, by their labels. */
function rowOf(page: Page, id: string): Promise<Record<string, string>> {
  return page.$$eval(
    '#servers tbody tr:not(.group)',
    (rows, wanted) => {
      const row = rows.find((each) => each.querySelector('th')?.textContent.startsWith(`${wanted} (`))
      const cells = [...(row?.querySelectorAll('td') ?? [])]
      return Object.fromEntries(cells.map((cell) => [cell.dataset.label ?? '', cell.textContent]))
    },
    id,
  )
}

async function picture(page: Page, name: string): Promise<void> {
  if (pictures !== undefined) await page.screenshot({ path: `${pictures}/${name}.png`, fullPage: true })
}

test('a person sees which servers work, what they do and what failed, as it happens', options, async (t) => {
  const { page, complaints, chat } = await open(t)
  await page.setViewport({ width: 1280, height: 900 })
  assert.equal((await rowOf(page, 'gpu1')).State, 'up')
  assert.equal((await rowOf(page, 'spare')).State, 'parked')
  assert.equal(await textOf(page, '#router-state'), 'all well')
  for (let count = 0; count < 5; count++) assert.equal(await chat('llama'), 200)
  assert.equal(await chat('broken'), 503)
  await page.waitForSelector('#failures tbody tr')
  const [gpu1, gpu2] = [await rowOf(page, 'gpu1'), await rowOf(page, 'gpu2')]
  assert.equal(gpu1.Uses, '5')
  assert.match(gpu1['First content'] ?? '', /^\d+ ms$|^\d+\.\d s$/)
  assert.match(gpu2.State ?? '', /^kept out, again in \d+ s$/)
  assert.match(gpu2['Last error'] ?? '', /^ECONNREFUSED, /)
  assert.equal(await textOf(page, '#router-state'), 'degraded')
  assert.match(await textOf(page, '#failures tbody'), /brokengpu3503HTTP_503/)
  assert.match(await textOf(page, '#announcement'), /gpu2 of llama is kept out\./)
  await picture(page, 'wide-light')
  await page.emulateMediaFeatures([{ name: 'prefers-color-scheme', value: 'dark' }])
  await picture(page, 'wide-dark')
  assert.deepEqual(complaints, [])
})

test('names are shown as they are and never become markup', options, async (t) => {
  const { page, complaints } = await open(t)
  const titles = await page.$$eval('#servers .group th span:first-child', (all) =>
    all.map((each) => each.textContent),
  )
  assert.deepEqual(titles, ['llama', evil, 'broken'])
  assert.equal((await rowOf(page, `${evil} box`)).State, 'up')
  assert.equal(await page.$('table img, table script'), null)
  assert.equal(await page.evaluate(() => 'hacked' in window), false)
  assert.deepEqual(complaints, [])
})

test('a script that is not of the page is refused by its policy', options, async (t) => {
  const { page } = await open(t)
  const ran = await page.evaluate(() => {
    const script = document.createElement('script')
    try {
      script.textContent = 'window.hacked = 1'
      document.body.append(script)
    } catch {
      // Trusted Types refuse the text already.
    }
    return 'hacked' in window
  })
  assert.equal(ran, false)
})

test('the keyboard reaches everything, and what has the focus is visible', options, async (t) => {
  const { page } = await open(t)
  const reached: string[] = []
  for (let count = 0; count < 4; count++) {
    await page.keyboard.press('Tab')
    reached.push(
      await page.evaluate(() => {
        const { activeElement: element } = document
        const isVisible = element && getComputedStyle(element).outlineStyle !== 'none'
        return `${element?.id || element?.className} ${isVisible ? 'visible' : 'invisible'}`
      }),
    )
  }
  assert.deepEqual(reached, ['skip visible', 'pause visible', 'find visible', 'troubled visible'])
  await page.keyboard.press('Space')
  await page.waitForSelector('#no-servers:not([hidden])')
  assert.equal(await page.$('#servers tbody'), null)
  await page.keyboard.press('Space')
  await page.focus('#find')
  await page.keyboard.type('GPU3')
  assert.equal(await page.$$eval('#servers tbody', (all) => all.length), 1)
})

test('the pause stops the page, and its end shows what is', options, async (t) => {
  const { page, router, chat } = await open(t)
  await page.focus('#pause')
  await page.keyboard.press('Enter')
  assert.equal(await page.$eval('#pause', (button) => button.getAttribute('aria-pressed')), 'true')
  await chat('llama')
  await chat('llama')
  const told = Promise.withResolvers<void>()
  const stop = router.app.statusEvents.listen({
    update: ({ models }) => models[0]?.targets[0]?.uses === 2 && told.resolve(),
    end: () => undefined,
  })
  await told.promise
  stop()
  assert.equal((await rowOf(page, 'gpu1')).Uses, '0')
  await page.keyboard.press('Enter')
  await page.waitForFunction(
    () => document.querySelector('#servers tbody td:nth-child(9)')?.textContent === '2',
  )
})

test(
  'on a narrow screen nothing is cut off, and a table is still one to a screen reader',
  options,
  async (t) => {
    const { page, chat } = await open(t)
    await chat('broken')
    await page.setViewport({ width: 360, height: 740 })
    await page.waitForSelector('#failures tbody tr')
    const overflow = await page.evaluate(() => document.documentElement.scrollWidth - window.innerWidth)
    assert.ok(overflow <= 0, `${overflow} px too wide`)
    const tree = JSON.stringify(await page.accessibility.snapshot({ interestingOnly: false }))
    for (const role of ['main', 'banner', 'search', 'table', 'columnheader', 'rowheader', 'cell', 'caption'])
      assert.match(tree.toLowerCase(), new RegExp(`"role":"${role}"`), role)
    await picture(page, 'narrow')
  },
)

test('when the router goes away the page says so', options, async (t) => {
  const { page, router } = await open(t)
  await router.close()
  await page.waitForSelector('#connection[data-lost]')
  assert.match(await textOf(page, '#connection'), /no connection/)
})

test('of a cluster the page shows each process', options, async (t) => {
  const router = await startRouterProcess({
    env: { LLM_ROUTER_SERVER_TYPE: 'cluster', LLM_ROUTER_SERVER_WORKERS_COUNT: '2' },
    models: { g: { m: { providers: [{ api_type: 'mock' }] } }, active_models: { g: ['m'] } },
  })
  const page = (await chrome?.browser.newPage()) ?? assert.fail('no browser')
  t.after(async () => {
    await page.close()
    await router.stop()
  })
  await router.listening(2)
  await page.goto(`${router.url}/ui`)
  await page.waitForSelector('#processes tbody tr:nth-child(2)', { visible: true })
  // A process that has just started may be shown before it has answered.
  await page.waitForFunction(
    () =>
      /1 \(pid \d+\)all well.*2 \(pid \d+\)all well/.test(
        document.querySelector('#processes tbody')?.textContent ?? '',
      ),
    { polling: 'mutation' },
  )
  assert.match(await textOf(page, '#about'), /processes: 2/)
  if (pictures !== undefined) await page.screenshot({ path: `${pictures}/processes.png`, fullPage: true })
})

test('the page is not there when it is switched off; the status is', async (t) => {
  const router = await startRouter({
    env: { LLM_ROUTER_UI: '0' },
    models: { g: { m: { providers: [{ api_type: 'mock' }] } }, active_models: { g: ['m'] } },
  })
  t.after(() => router.close())
  assert.equal((await fetch(`${router.url}/ui`)).status, 404)
  assert.equal((await fetch(`${router.url}/ui/status.js`)).status, 404)
  assert.equal((await fetch(`${router.url}/api/status`)).status, 200)
})
