import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { modelsConfig } from '../helpers/models-config.ts'
import { startRouter } from '../helpers/router.ts'
import { pageErrorsOf } from './accessibility.ts'
import type { TestBrowser } from './browser.ts'
import { browserFor, type ConsoleBrowser, needsChromium, openConsole } from './console-browser.ts'
import { type ConsoleFleet, startConsoleFleet } from './console-fleet.ts'

/** Consecutive views of one page are opened from each other. */
const views: readonly { path: string; title: string; clicks?: readonly string[]; shows: string }[] = [
  { path: '', title: 'Overview', shows: '#tiles dd' },
  { path: '/fleet', title: 'Fleet', shows: '[data-target=dgx3]' },
  {
    path: '/fleet',
    title: 'Fleet',
    clicks: ['::-p-text(By model)'],
    shows: 'tr.group ::-p-text(llama-3.3-70b)',
  },
  { path: '/fleet?target=dgx2', title: 'Fleet', shows: 'dialog ::-p-text(Prefix cache hits)' },
  { path: '/requests', title: 'Requests', shows: 'tbody tr' },
  { path: '/playground', title: 'Playground', clicks: ['#compare', 'summary'], shows: '.answer' },
  { path: '/teams', title: 'Teams', shows: 'tbody ::-p-text(alice)' },
  { path: '/teams', title: 'Teams', clicks: ['#tab-groups'], shows: 'tbody ::-p-text(research)' },
  { path: '/teams', title: 'Teams', clicks: ['#tab-keys'], shows: 'tbody code' },
  { path: '/teams', title: 'Teams', clicks: ['#tab-budgets'], shows: 'tbody ::-p-text(research-month)' },
  { path: '/teams', title: 'Teams', clicks: ['#tab-usage'], shows: '#csv' },
  { path: '/teams', title: 'Teams', clicks: ['#tab-clients', '#new-client'], shows: 'dialog input' },
  { path: '/models', title: 'Models', shows: 'tbody ::-p-text(llama-3.3-70b)' },
  { path: '/models', title: 'Models', clicks: ['#tab-prices'], shows: 'tbody ::-p-text(llama)' },
  { path: '/models', title: 'Models', clicks: ['#tab-prompts'], shows: '#prompt-text' },
  { path: '/settings', title: 'Settings', shows: 'tbody code' },
  {
    path: '/settings',
    title: 'Settings',
    clicks: ['#tab-files'],
    shows: '::-p-text(LLM_ROUTER_MODELS_CONFIG)',
  },
  { path: '/settings', title: 'Settings', clicks: ['#tab-versions'], shows: 'tbody ::-p-text(single)' },
  { path: '/settings', title: 'Settings', clicks: ['#tab-audit'], shows: 'tbody ::-p-text(admin-key)' },
]

describe('the pages of the console', needsChromium, () => {
  let chrome: TestBrowser
  let fleet: ConsoleFleet
  let console: ConsoleBrowser
  before(async () => {
    ;[chrome, fleet] = await Promise.all([browserFor(), startConsoleFleet()])
    await fleet.traffic()
    console = await openConsole(chrome, fleet.router.url)
    await console.signIn()
  })
  after(async () => {
    await chrome?.close()
    await fleet?.close()
  })

  for (const { path, title, clicks = [], shows } of views)
    test(`${path || '/'} ${clicks.join(' ')} fits three widths, each in both themes, without a violation of WCAG`, async () => {
      const { page, browserErrors, text } = console
      await page.setViewport({ width: 1280, height: 900 })
      if (path.includes('?')) await console.open(path)
      else {
        await page.keyboard.press('Escape')
        await page.waitForSelector('dialog', { hidden: true })
        if ((await text('h1')) !== title) await console.goTo(title)
      }
      for (const each of clicks) await console.click(each)
      await page.waitForSelector(shows)
      assert.equal(await text('h1'), title)
      assert.equal(await page.title(), `${title} - llm-router`)
      assert.deepEqual(await pageErrorsOf(page), [])
      assert.deepEqual(browserErrors, [])
    })

  test('the sign-in page and the page for an unknown address have no violation of WCAG', async (t) => {
    const open = await startRouter({ models: modelsConfig({ demo: [{ id: 'demo', api_type: 'mock' }] }) })
    t.after(() => open.close())
    const { page, use } = console
    await use(fleet.router.url)
    for (const path of [`${fleet.router.url}/ui`, `${open.url}/nothing/here`]) {
      await page.goto(path)
      assert.deepEqual(await pageErrorsOf(page), [], path)
    }
    await page.click('a[href]')
    await page.waitForSelector('#tiles')
  })
})
