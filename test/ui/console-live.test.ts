import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import type { Page } from 'puppeteer-core'
import { closedPort, post } from '../helpers/http.ts'
import { messages } from '../helpers/messages.ts'
import { modelsConfig } from '../helpers/models-config.ts'
import { startRouter, type TestRouter } from '../helpers/router.ts'
import type { TestBrowser } from './browser.ts'
import { browserFor, type ConsoleBrowser, needsChromium, openConsole } from './console-browser.ts'

/** Globals of functions that run in the browser. */
declare const document: {
  activeElement: { id: string; textContent: string; tagName: string } | null
  body: { append(child: unknown): void }
  documentElement: { dataset: Record<string, string> }
  createElement(name: string): { textContent: string }
  querySelector(selector: string): { textContent: string; getAnimations(): unknown[] } | null
}
declare function getComputedStyle(element: unknown): {
  animationName: string
  colorScheme: string
  outlineStyle: string
}
declare const localStorage: { clear(): void }
declare const CanvasRenderingContext2D: { prototype: { clearRect(...of: number[]): void } }

/** Milliseconds between checks of text content, for whose changes Chromium has no event. */
const polling = 50

const evil = '<img src=x onerror="window.hacked=1">&amp;<script>window.hacked=1</script>'

describe('the console', needsChromium, () => {
  let chrome: TestBrowser
  interface Opened extends ConsoleBrowser {
    router: TestRouter
    chat(model: string): Promise<number>
  }

  const start = async (): Promise<TestRouter> =>
    startRouter({
      models: modelsConfig({
        llama: [
          { id: 'gpu1', api_type: 'mock', mock: { reply: 'one two three', first_token_ms: 20 } },
          { id: 'gpu2', api_type: 'vllm', api_host: await closedPort() },
        ],
        [evil]: [{ id: `${evil} box`, api_type: 'mock' }],
      }),
    })
  let common: TestRouter
  let console: ConsoleBrowser
  before(async () => {
    ;[chrome, common] = await Promise.all([browserFor(), start()])
    console = await openConsole(chrome, common.url)
  })
  after(async () => {
    await console?.close()
    await common?.close()
    await chrome?.close()
  })

  /** One page for all tests, reused from the previous test; its earlier browser errors are discarded. */
  async function opened(title: 'Overview' | 'Fleet', router: TestRouter = common): Promise<Opened> {
    console.browserErrors.length = 0
    if (console.page.url().startsWith(`${router.url}/ui`)) await console.goTo(title)
    else {
      await console.use(router.url)
      await console.open(title === 'Fleet' ? '/fleet' : '')
    }
    return {
      ...console,
      router,
      chat: async (model) =>
        (
          await post(`${router.url}/v1/chat/completions`, {
            model,
            messages,
          })
        ).status,
    }
  }

  test('updates the state of servers live, shows failures as "1 of 1", and error codes in words', async () => {
    const { page, text, chat, browserErrors } = await opened('Fleet')
    await page.waitForSelector('[data-target=gpu2] ::-p-text(up)')
    for (let count = 0; count < 5; count++) assert.equal(await chat('llama'), 200)
    await page.waitForSelector('[data-target=gpu2] ::-p-text(ejected)')
    await page.waitForFunction(
      () => / ms/.test(document.querySelector('[data-target=gpu1]')?.textContent ?? ''),
      { polling },
    )
    assert.match(await text('[data-target=gpu2]'), /again in \d+ s/)
    await page.waitForFunction(
      () => /\d+ of \d+/.test(document.querySelector('[data-target=gpu2]')?.textContent ?? ''),
      { polling, timeout: 40_000 },
    )
    await page.click('[data-target=gpu2] button')
    await page.waitForSelector('dialog ::-p-text(connection refused)')
    await page.waitForFunction(
      () =>
        /gpu2 of llama is (?:ejected|on trial)/.test(
          document.querySelector('#announcement')?.textContent ?? '',
        ),
      { polling },
    )
    assert.deepEqual(browserErrors, [])
  })

  test('shows names as text, and never as markup', async () => {
    const { page, browserErrors } = await opened('Fleet')
    await page.waitForSelector('[data-target=gpu1]')
    const names = await page.$$eval('tbody th', (all) => all.map((each) => each.textContent))
    assert.ok(
      names.some((name) => name.includes(evil)),
      names.join(),
    )
    await page.click('::-p-text(By model)')
    await page.waitForSelector('tr.group')
    assert.equal(await page.$('main img, main script'), null)
    assert.equal(await page.evaluate(() => 'hacked' in globalThis), false)
    assert.deepEqual(browserErrors, [])
  })

  test('does not run a script that is not its own', async () => {
    const { page } = await opened('Overview')
    const ran = await page.evaluate(() => {
      const script = document.createElement('script')
      try {
        script.textContent = 'globalThis.hacked = 1'
        document.body.append(script)
      } catch {
        // Trusted Types reject the text already.
      }
      return 'hacked' in globalThis
    })
    assert.equal(ran, false)
  })

  test('can be used by keyboard only: skip link, pages, tabs and dialogs', async () => {
    const { page, goTo, open } = await opened('Overview')
    await open('')
    const focus = () =>
      page.evaluate(() => {
        const { activeElement: element } = document
        const isVisible = element && getComputedStyle(element).outlineStyle !== 'none'
        return `${element?.textContent.trim()}${isVisible ? '' : ' (invisible)'}`
      })
    await page.keyboard.press('Tab')
    assert.equal(await focus(), 'Skip to the page')
    const reached: string[] = []
    for (let count = 0; count < 9; count++) {
      await page.keyboard.press('Tab')
      reached.push(await focus())
    }
    assert.deepEqual(
      reached.map((each) => each.replace(/problems: \d+$/, '').trim()),
      ['llm-router', '', 'Overview', 'Fleet', 'Requests', 'Playground', 'Teams', 'Models', 'Settings'],
    )
    await page.keyboard.press('Enter')
    await page.waitForSelector('#tab-configuration')
    assert.equal(await page.title(), 'Settings - llm-router')
    assert.equal(await page.evaluate(() => document.activeElement?.id), 'main')
    await page.focus('#tab-configuration')
    await page.keyboard.press('ArrowRight')
    assert.equal(await page.evaluate(() => document.activeElement?.id), 'tab-files')
    await page.goBack()
    await page.waitForSelector('#tiles')
    await goTo('Fleet')
    await page.waitForSelector('[data-target=gpu1]')
    await page.focus('[data-target=gpu1] button')
    await page.keyboard.press('Enter')
    await page.waitForSelector('dialog[open]')
    await page.keyboard.press('Escape')
    await page.waitForSelector('dialog', { hidden: true })
    assert.equal(await focus(), 'gpu1')
  })

  test('keeps the chosen theme over a reload', async () => {
    const { page } = await opened('Overview')
    const scheme = () => page.$eval('html', (element) => getComputedStyle(element).colorScheme)
    assert.equal(await scheme(), 'light dark')
    await page.click('#theme')
    await page.click('#theme')
    assert.equal(await scheme(), 'dark')
    await page.reload()
    await page.waitForSelector('#tiles')
    assert.equal(await scheme(), 'dark')
    await page.evaluate(() => localStorage.clear())
  })

  test('animates its dot at each update, unless the user prefers reduced motion', async (t) => {
    const { page } = await opened('Overview')
    t.after(() => page.emulateMediaFeatures())
    const moving = (count: number) =>
      page.waitForFunction(
        (wanted: number) => document.querySelector('#as-of .dot')?.getAnimations().length === wanted,
        { polling: 'raf' },
        count,
      )
    const animation = () => page.$eval('#as-of .dot', (element) => getComputedStyle(element).animationName)
    await page.emulateMediaFeatures([{ name: 'prefers-reduced-motion', value: 'no-preference' }])
    await page.waitForSelector('#as-of[data-state=live]')
    for (const count of [1, 0, 1]) await moving(count)
    assert.notEqual(await animation(), 'none')
    await page.emulateMediaFeatures([{ name: 'prefers-reduced-motion', value: 'reduce' }])
    await moving(0)
    assert.equal(await animation(), 'none')
  })

  test('redraws its charts for a new history, and not for every change of the status', async () => {
    const { page } = await opened('Overview')
    await page.waitForSelector('.u-wrap canvas')
    assert.deepEqual(await page.evaluate(drawnCharts), { status: 0, history: 6 })
  })

  test('shows that the router is unreachable, and since when', async () => {
    const { page, router, text } = await opened('Overview', await start())
    await page.waitForSelector('#as-of[data-state=live]')
    await router.close()
    await page.waitForSelector('#as-of[data-state=lost]')
    assert.match(await text('#as-of'), /no connection, as of \d/)
    await page.waitForSelector('#page.stale')
    await page.waitForSelector('.notice ::-p-text(The router does not respond)')
  })

  test('spends at most ten times as much on an update of 200 servers as on one of 10', async (t) => {
    const costs: number[] = []
    for (const count of [10, 200]) {
      const router = await startRouter({
        models: modelsConfig(
          Object.fromEntries(
            Array.from({ length: count / 10 }, (_, model) => [
              `model-${model}`,
              Array.from({ length: 10 }, (_each, index) => ({ id: `m${model}-${index}`, api_type: 'mock' })),
            ]),
          ),
        ),
      })
      t.after(() => router.close())
      const { page } = await opened('Fleet', router)
      await page.waitForSelector('tbody tr')
      // Collapsed groups would cost nothing.
      const fold = await page.$('button[aria-expanded=false]')
      await fold?.click()
      await page.waitForSelector(count > 10 ? 'tbody tr:nth-child(40)' : 'tbody tr:nth-child(10)')
      costs.push(await costOfUpdates(page))
    }
    const [few = 0, many = 0] = costs
    assert.ok(few > 0 && many <= 10 * few, `${many} s for 200 servers, ${few} s for 10`)
  })
})

/**
 * Seconds of computation in the browser for updates that change every server: scripts, styles and layout. Processor time, so that
 * other processes of a busy machine do not count.
 */
async function costOfUpdates(page: Page): Promise<number> {
  const session = await page.createCDPSession()
  await session.send('Performance.enable', { timeDomain: 'threadTicks' })
  const counted = ['ScriptDuration', 'LayoutDuration', 'RecalcStyleDuration']
  const spent = async (): Promise<number> => {
    const { metrics } = await session.send('Performance.getMetrics')
    return metrics.reduce((sum, { name, value }) => sum + (counted.includes(name) ? value : 0), 0)
  }
  await page.evaluate(update, 5)
  const before = await spent()
  await page.evaluate(update, 20)
  const after = await spent()
  await session.detach()
  return after - before
}

async function update(rounds: number): Promise<void> {
  const { href } = Object(globalThis).document.querySelector('link[href$="live.js"]')
  const live = await import(href)
  for (let round = 1; round <= rounds; round++) {
    const { models } = live.status.value
    const changes = models.map(({ name, targets }: { name: string; targets: { id: string }[] }) => ({
      name,
      targets: targets.map(({ id }) => ({ id, in_flight: round })),
    }))
    live.status.value = live.merged(live.status.value, { models: changes })
    await new Promise((resolve) => Object(globalThis).requestAnimationFrame(() => setTimeout(resolve)))
  }
}

/** How many charts are drawn after a change of the status only, and after one of the history. */
async function drawnCharts(): Promise<{ status: number; history: number }> {
  const { href } = Object(globalThis).document.querySelector('link[href$="live.js"]')
  const live = await import(href)
  const { prototype } = CanvasRenderingContext2D
  const { clearRect } = prototype
  let drawn = 0
  prototype.clearRect = function (...of) {
    drawn++
    return clearRect.apply(this, of)
  }
  const drawnBy = async (change: () => void): Promise<number> => {
    drawn = 0
    change()
    for (let frame = 0; frame < 3; frame++)
      await new Promise((resolve) => Object(globalThis).requestAnimationFrame(() => setTimeout(resolve)))
    return drawn
  }
  return {
    status: await drawnBy(() => {
      live.status.value = live.merged(live.status.value, { status: { uptime_seconds: 1_000 } })
    }),
    history: await drawnBy(() => {
      live.history.value = { ...live.history.value }
    }),
  }
}
