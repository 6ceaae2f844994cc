import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import type { Page } from 'puppeteer-core'
import { closedPort, post } from '../helpers/http.ts'
import { modelsConfig } from '../helpers/models-config.ts'
import { startRouter, type TestRouter } from '../helpers/router.ts'
import { startRouterProcess } from '../helpers/router-process.ts'
import type { TestBrowser } from './browser.ts'
import { browserFor, type ConsoleBrowser, needsChromium, openConsole } from './console-browser.ts'

/** What the functions find that run in the browser. */
declare const document: {
  activeElement: { id: string; textContent: string; tagName: string } | null
  body: { append(child: unknown): void }
  documentElement: { dataset: Record<string, string> }
  createElement(name: string): { textContent: string }
  querySelector(selector: string): { textContent: string; getAnimations(): unknown[] } | null
}
declare function getComputedStyle(element: unknown): { outlineStyle: string; colorScheme: string }

const evil = '<img src=x onerror="window.hacked=1">&amp;<script>window.hacked=1</script>'

describe('the console', needsChromium, () => {
  let chrome: TestBrowser
  before(async () => {
    chrome = await browserFor()
  })
  after(() => chrome?.close())

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
  before(async () => {
    common = await start()
  })
  after(() => common?.close())

  async function opened(
    t: { after(end: () => unknown): void },
    path: string,
    router: TestRouter = common,
  ): Promise<Opened> {
    const console = await openConsole(chrome, router.url)
    t.after(() => console.close())
    await console.open(path)
    return {
      ...console,
      router,
      chat: async (model) =>
        (
          await post(`${router.url}/v1/chat/completions`, {
            model,
            messages: [{ role: 'user', content: 'x' }],
          })
        ).status,
    }
  }

  test('shows what servers do as it happens, failures as "1 of 1", and error codes in words', async (t) => {
    const { page, text, chat, complaints } = await opened(t, '/fleet')
    await page.waitForSelector('[data-target=gpu2] ::-p-text(up)')
    for (let count = 0; count < 5; count++) assert.equal(await chat('llama'), 200)
    await page.waitForSelector('[data-target=gpu2] ::-p-text(ejected)')
    await page.waitForFunction(() =>
      / ms/.test(document.querySelector('[data-target=gpu1]')?.textContent ?? ''),
    )
    assert.match(await text('[data-target=gpu2]'), /again in \d+ s/)
    await page.waitForFunction(
      () => /\d+ of \d+/.test(document.querySelector('[data-target=gpu2]')?.textContent ?? ''),
      { timeout: 40_000 },
    )
    await page.click('[data-target=gpu2] button')
    await page.waitForSelector('dialog ::-p-text(connection refused)')
    await page.waitForFunction(() =>
      /gpu2 of llama is (?:ejected|on trial)/.test(
        document.querySelector('#announcement')?.textContent ?? '',
      ),
    )
    assert.deepEqual(complaints, [])
  })

  test('shows names as they are, and never as markup', async (t) => {
    const { page, complaints } = await opened(t, '/fleet')
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
    assert.deepEqual(complaints, [])
  })

  test('refuses a script that is not its own', async (t) => {
    const { page } = await opened(t, '')
    const ran = await page.evaluate(() => {
      const script = document.createElement('script')
      try {
        script.textContent = 'globalThis.hacked = 1'
        document.body.append(script)
      } catch {
        // Trusted Types refuse the text already.
      }
      return 'hacked' in globalThis
    })
    assert.equal(ran, false)
  })

  test('can be used by keyboard alone: skip, move between pages, tabs and dialogs', async (t) => {
    const { page } = await opened(t, '')
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
      [...['llm-router', '', 'Overview', 'Fleet', 'Requests', 'Playground', 'Teams', 'Models', 'Settings']],
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
    await page.goto(`${page.url().replace(/\/ui.*/, '')}/ui/fleet`)
    await page.waitForSelector('[data-target=gpu1]')
    await page.focus('[data-target=gpu1] button')
    await page.keyboard.press('Enter')
    await page.waitForSelector('dialog[open]')
    await page.keyboard.press('Escape')
    await page.waitForSelector('dialog', { hidden: true })
    assert.equal(await focus(), 'gpu1')
  })

  test('keeps the chosen theme over a reload, and moves nothing for whoever wants less motion', async (t) => {
    const { page } = await opened(t, '')
    const scheme = () => page.$eval('html', (element) => getComputedStyle(element).colorScheme)
    assert.equal(await scheme(), 'light dark')
    await page.click('#theme')
    await page.click('#theme')
    assert.equal(await scheme(), 'dark')
    await page.reload()
    await page.waitForSelector('#tiles')
    assert.equal(await scheme(), 'dark')
    const moving = () => page.evaluate(() => document.querySelector('#as-of .dot')?.getAnimations().length)
    await page.waitForSelector('#as-of[data-state=live]')
    assert.equal(await moving(), 1)
    await page.emulateMediaFeatures([{ name: 'prefers-reduced-motion', value: 'reduce' }])
    assert.equal(await moving(), 0)
  })

  test('turns grey and says so when the router is gone', async (t) => {
    const { page, router, text } = await opened(t, '', await start())
    await page.waitForSelector('#as-of[data-state=live]')
    await router.close()
    await page.waitForSelector('#as-of[data-state=lost]')
    assert.match(await text('#as-of'), /no connection, as of \d/)
    await page.waitForSelector('#page.stale')
    await page.waitForSelector('.notice ::-p-text(The router does not respond)')
  })

  test('shows each process of a cluster', async (t) => {
    const router = await startRouterProcess({
      env: { LLM_ROUTER_SERVER_TYPE: 'cluster', LLM_ROUTER_SERVER_WORKERS_COUNT: '2' },
      models: { g: { m: { providers: [{ api_type: 'mock' }] } }, active_models: { g: ['m'] } },
    })
    const { page, open, click, text, close } = await openConsole(chrome, router.url)
    t.after(async () => {
      await close()
      await router.stop()
    })
    await open('/settings')
    await click('#tab-versions')
    await page.waitForSelector('[aria-label="Processes of this router"] tbody tr:nth-child(2)')
    assert.match(
      await text('[aria-label="Processes of this router"] tbody'),
      /1 pid \d+all well.*2 pid \d+all well/,
    )
  })

  test('an update of 200 servers costs at most ten times one of 10', async (t) => {
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
      const { page, open, close } = await openConsole(chrome, router.url)
      await open('/fleet')
      await page.waitForSelector('tbody tr')
      // Folded they would cost nothing.
      const fold = await page.$('button[aria-expanded=false]')
      await fold?.click()
      await page.waitForSelector(count > 10 ? 'tbody tr:nth-child(40)' : 'tbody tr:nth-child(10)')
      costs.push(await costOfUpdates(page))
      await close()
    }
    const [few = 0, many = 0] = costs
    assert.ok(few > 0 && many <= 10 * few, `${many} s for 200 servers, ${few} s for 10`)
  })
})

/** Seconds that the browser computes for updates in each of which every server changes: scripts, styles and layout. */
async function costOfUpdates(page: Page): Promise<number> {
  const spent = async (): Promise<number> => {
    const { ScriptDuration = 0, LayoutDuration = 0, RecalcStyleDuration = 0 } = await page.metrics()
    return ScriptDuration + LayoutDuration + RecalcStyleDuration
  }
  await page.evaluate(update, 5)
  const before = await spent()
  await page.evaluate(update, 20)
  return (await spent()) - before
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
