/**
 * Creates the pictures of the console in docs/img: a router with servers in each state and some minutes of traffic, rendered by
 * Chromium. With a folder as argument: pictures of every page in both themes and at three widths, for manual review, or only
 * some, such as `1280-dark,390-light`.
 */
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import type { Page } from 'puppeteer-core'
import { browserFor, type ConsoleBrowser, openConsole } from '../test/ui/console-browser.ts'
import { type ConsoleFleet, startConsoleFleet } from '../test/ui/console-fleet.ts'

interface Picture {
  name: string
  path: string
  /** Elements to click first. */
  clicks?: readonly string[]
  /** Elements that must be visible. */
  shows?: string
  prepare?(page: Page): Promise<void>
}

const pictures: readonly Picture[] = [
  { name: 'overview', path: '', shows: '.u-wrap canvas' },
  { name: 'fleet', path: '/fleet', shows: '[data-target=dgx1]' },
  { name: 'fleet-models', path: '/fleet', clicks: ['::-p-text(By model)'], shows: 'tr.group' },
  { name: 'target', path: '/fleet?target=dgx2', shows: 'dialog dl' },
  {
    name: 'drain',
    path: '/fleet?target=dgx1',
    clicks: ['dialog ::-p-text(Drain)'],
    shows: '#effect ::-p-text(requests)',
  },
  { name: 'requests', path: '/requests', shows: 'tbody tr' },
  {
    name: 'request',
    path: '/requests',
    prepare: async (page) => {
      await page.waitForSelector('tbody tr')
      await page.select('#status', '2xx')
      await page.type('#find', 'failover')
      await page.waitForFunction(
        () => Object(globalThis).document.querySelectorAll('tbody button').length > 0,
      )
      await page.click('tbody button')
    },
    shows: 'dialog .timeline .bar',
  },
  {
    name: 'playground',
    path: '/playground',
    clicks: ['#compare', '#send'],
    shows: '[aria-label="Response 2"][data-state=done]',
  },
  { name: 'teams', path: '/teams', shows: 'tbody ::-p-text(alice)' },
  { name: 'client', path: '/teams', clicks: ['tbody ::-p-text(alice)'], shows: 'dialog code' },
  { name: 'budgets', path: '/teams', clicks: ['#tab-budgets'], shows: '.burn' },
  { name: 'usage', path: '/teams', clicks: ['#tab-usage'], shows: '.u-wrap canvas' },
  { name: 'new-client', path: '/teams', clicks: ['#tab-clients', '#new-client'], shows: 'dialog input' },
  { name: 'models', path: '/models', shows: 'tbody tr' },
  { name: 'prompts', path: '/models', clicks: ['#tab-prompts'], shows: '#prompt-text' },
  { name: 'settings', path: '/settings', clicks: ['#tab-configuration'], shows: 'tbody code' },
  { name: 'audit', path: '/settings', clicks: ['#tab-audit'], shows: 'tbody tr' },
]

/** The pictures in the documentation. */
const documented = ['overview', 'fleet', 'drain', 'request', 'playground', 'usage']

const [folder, wanted = '390-light,390-dark,1280-light,1280-dark,1920-light,1920-dark'] =
  process.argv.slice(2)
const isReview = folder !== undefined
const out = folder ?? join(import.meta.dirname, '../docs/img')
mkdirSync(out, { recursive: true })
const minutes = Number(process.env.LLM_ROUTER_SCREENSHOT_MINUTES ?? 4)

const [chrome, fleet] = await Promise.all([browserFor(), startConsoleFleet()])
try {
  const stop = keepBusy(fleet)
  const view = await openConsole(chrome, fleet.router.url)
  await view.page.setUserAgent({ userAgent: 'screenshots' })
  await view.signIn()
  await new Promise((resolve) => setTimeout(resolve, minutes * 60_000))
  const looks = isReview
    ? wanted.split(',').map((each) => {
        const [width, theme = 'light'] = each.split('-')
        return { width: Number(width), theme }
      })
    : ['light', 'dark'].map((theme) => ({ width: 1280, theme }))
  for (const look of looks)
    for (const picture of pictures)
      if (
        isReview ||
        (documented.includes(picture.name) && (look.theme === 'light' || picture.name === 'overview'))
      )
        await take(view, picture, look)
  if (!isReview)
    await take(
      view,
      { name: 'phone', path: '/fleet', shows: '[data-target=dgx1]' },
      { width: 390, theme: 'dark' },
    )
  stop()
} finally {
  await chrome.close()
  await fleet.close()
}

async function take(
  { page, open, click }: ConsoleBrowser,
  picture: Picture,
  look: { width: number; theme: string },
): Promise<void> {
  const { width, theme } = look
  await page.setViewport({ width, height: width < 600 ? 844 : 800 })
  await page.emulateMediaFeatures([{ name: 'prefers-color-scheme', value: theme }])
  await open(picture.path)
  for (const each of picture.clicks ?? []) await click(each)
  await picture.prepare?.(page)
  if (picture.shows !== undefined) await page.waitForSelector(picture.shows, { timeout: 60_000 })
  await new Promise((resolve) => setTimeout(resolve, 1_200))
  const name = isReview
    ? `${picture.name}-${width}-${theme}`
    : `console-${picture.name}${theme === 'dark' && picture.name !== 'phone' ? '-dark' : ''}`
  await page.screenshot({ path: join(out, `${name}.png`), fullPage: isReview && picture.name === 'overview' })
  process.stdout.write(`${name}.png\n`)
}

/** Requests in waves, so that charts have visible changes. */
function keepBusy({ traffic }: ConsoleFleet): () => void {
  const timer = setInterval(() => {
    const wave = 1 + Math.sin(Date.now() / 25_000)
    if (Math.random() < 0.35 + 0.3 * wave) void traffic().catch(() => undefined)
  }, 700)
  return () => clearInterval(timer)
}
