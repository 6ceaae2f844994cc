import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import type { BrowserContext, Page } from 'puppeteer-core'
import { findChromium, startBrowser, type TestBrowser } from './browser.ts'
import { adminKey } from './console-fleet.ts'

export const chromium = findChromium()
export const needsChromium =
  chromium === undefined ? { skip: 'needs Chromium: sudo apt-get install chromium' } : {}

/** What the functions find that run in the browser. */
declare const document: { documentElement: { scrollWidth: number } }
declare const window: { innerWidth: number }
declare const axe: { run(options: object): Promise<{ violations: AxeViolation[] }> }

interface AxeViolation {
  id: string
  nodes: { target: unknown[]; html: string; failureSummary?: string }[]
}

export interface ConsoleBrowser {
  /** A page of the console for whoever is signed in in this context. */
  readonly page: Page
  /** What the browser complained of: errors, broken loads, refusals of its security policy. */
  readonly complaints: string[]
  /** Opens one of the pages by its address below `/ui`, and waits until it is drawn. */
  open(path: string): Promise<void>
  signIn(key?: string): Promise<void>
  /** The text of what a selector finds. */
  text(selector: string): Promise<string>
  /** Waits for a selector, which may be one of puppeteer's own, and clicks. */
  click(selector: string): Promise<void>
  close(): Promise<void>
}

/** Sessions are cookies, and those of routers on one host would mix: each has a context of its own. */
export async function openConsole({ browser }: TestBrowser, url: string): Promise<ConsoleBrowser> {
  const context: BrowserContext = await browser.createBrowserContext()
  const page = await context.newPage()
  page.setDefaultTimeout(20_000)
  await page.setViewport({ width: 1280, height: 900 })
  const complaints: string[] = []
  page.on('console', (message) => {
    if (['error', 'warn'].includes(message.type()) && !/status of 401/.test(message.text()))
      complaints.push(`${message.type()}: ${message.text()}`)
  })
  page.on('pageerror', (error) => complaints.push(String(error)))
  const console: ConsoleBrowser = {
    page,
    complaints,
    async open(path) {
      await page.goto(`${url}/ui${path}`)
      await page.waitForSelector('#page > *')
      await page.waitForSelector('#as-of:not([data-state=connecting])')
    },
    async signIn(key = adminKey) {
      await page.goto(`${url}/ui`)
      await page.type('#key', key)
      await page.keyboard.press('Enter')
      await page.waitForSelector('#sign-out')
    },
    text: (selector) => page.$eval(selector, (element) => element.textContent),
    async click(selector) {
      const element = await page.waitForSelector(selector, { visible: true })
      await element?.click()
    },
    close: async () => {
      if (!context.closed) await context.close()
    },
  }
  return console
}

export async function browserFor(): Promise<TestBrowser> {
  return startBrowser(chromium ?? assert.fail('no Chromium'))
}

const axeSource = readFileSync(fileURLToPath(import.meta.resolve('axe-core/axe.min.js')), 'utf8')

/** What axe-core finds wrong with what is shown: WCAG 2.2 A and AA, and its best practices. */
export async function violationsOf(page: Page): Promise<string[]> {
  await page.evaluate(axeSource)
  const { violations } = await page.evaluate(() => axe.run({ resultTypes: ['violations'] }))
  return violations.flatMap(({ id, nodes }) =>
    nodes
      .slice(0, 4)
      .map(
        ({ target, failureSummary = '' }) =>
          `${id}: ${target.join(' ')} ${failureSummary.replaceAll('\n', ' ')}`,
      ),
  )
}

/** By how many pixels the page is wider than the window. */
export function overflowOf(page: Page): Promise<number> {
  return page.evaluate(() => Math.max(0, document.documentElement.scrollWidth - window.innerWidth))
}
