import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import type { Page } from 'puppeteer-core'
import { findChromium, startBrowser, type TestBrowser } from './browser.ts'
import { adminKey } from './console-fleet.ts'

export const chromium = findChromium()
export const needsChromium =
  chromium === undefined ? { skip: 'needs Chromium: sudo apt-get install chromium' } : {}

/** Globals of functions that run in the browser. */
declare const document: { documentElement: { scrollWidth: number } }
declare const window: { innerWidth: number }
declare const axe: { run(options: object): Promise<{ violations: AxeViolation[] }> }

interface AxeViolation {
  id: string
  nodes: { target: unknown[]; html: string; failureSummary?: string }[]
}

export interface ConsoleBrowser {
  /** A page of the console for whoever is signed in within this context. */
  readonly page: Page
  /** Browser errors: exceptions, failed loads, violations of the content security policy. */
  readonly browserErrors: string[]
  /** Opens a page by its path below `/ui`, and waits until it is rendered. */
  open(path: string): Promise<void>
  /** Opens a page by its link, without loading the console again. */
  goTo(title: string): Promise<void>
  signIn(key?: string): Promise<void>
  /** Switches to a router without a session. Opening another page would cost a second. */
  use(url: string): Promise<void>
  /** The text content of the element that a selector matches. */
  text(selector: string): Promise<string>
  /** Waits for a selector, which may be one of Puppeteer's own, and clicks the element. */
  click(selector: string): Promise<void>
  close(): Promise<void>
}

/** Sessions are cookies, which routers on one host would share: each has its own context. */
export async function openConsole({ browser }: TestBrowser, first = 'about:blank'): Promise<ConsoleBrowser> {
  let url = first
  const context = await browser.createBrowserContext()
  const page = await context.newPage()
  page.setDefaultTimeout(20_000)
  await page.setViewport({ width: 1280, height: 900 })
  const browserErrors: string[] = []
  page.on('console', (message) => {
    if (['error', 'warn'].includes(message.type()) && !/status of 401/.test(message.text()))
      browserErrors.push(`${message.type()}: ${message.text()}`)
  })
  page.on('pageerror', (error) => browserErrors.push(String(error)))
  const console: ConsoleBrowser = {
    page,
    browserErrors,
    async open(path) {
      await page.goto(`${url}/ui${path}`)
      await page.waitForSelector('#page > *')
      await page.waitForSelector('#as-of:not([data-state=connecting])')
    },
    async goTo(title) {
      await page.$eval(`nav ::-p-xpath(//a[starts-with(normalize-space(), "${title}")])`, (link) =>
        Object(link).click(),
      )
      await page.waitForFunction(
        (name: string) => Object(globalThis).document.querySelector('h1')?.textContent === name,
        { polling: 20 },
        title,
      )
      await page.waitForSelector('#page > *')
    },
    async signIn(key = adminKey) {
      await page.goto(`${url}/ui`)
      await page.type('#key', key)
      await page.keyboard.press('Enter')
      await page.waitForSelector('#sign-out')
    },
    async use(next) {
      await context.deleteCookie(...(await context.cookies()))
      url = next
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

/** Rules that depend on the theme; all others depend on the width only. */
const ofColours = ['color-contrast', 'link-in-text-block']

/**
 * Violations that axe-core finds on the current page: WCAG 2.2 A and AA, and its best practices. `rules`: those of colours, or all
 * others; all by default.
 */
export async function violationsOf(page: Page, rules?: 'colours' | 'others'): Promise<string[]> {
  const isThere = await page.evaluate(() => 'axe' in globalThis)
  if (!isThere) await page.evaluate(axeSource)
  const { violations } = await page.evaluate(
    (wanted, names) =>
      axe.run({
        resultTypes: ['violations'],
        ...(wanted === 'colours' && { runOnly: { type: 'rule', values: names } }),
        ...(wanted === 'others' && {
          rules: Object.fromEntries(names.map((name) => [name, { enabled: false }])),
        }),
      }),
    rules ?? '',
    ofColours,
  )
  return violations.flatMap(({ id, nodes }) =>
    nodes
      .slice(0, 4)
      .map(
        ({ target, failureSummary = '' }) =>
          `${id}: ${target.join(' ')} ${failureSummary.replaceAll('\n', ' ')}`,
      ),
  )
}

/** Widths of a phone, a laptop and a large display. */
const widths = [390, 1280, 1920]

/** Checks the current page at three widths, each in both themes: violations that axe-core finds, and horizontal overflow. */
export async function pageErrorsOf(page: Page): Promise<string[]> {
  const errors: string[] = []
  for (const width of widths) {
    await page.setViewport({ width, height: 900 })
    const overflow = await overflowOf(page)
    if (overflow > 0) errors.push(`${overflow} px too wide at ${width} px`)
    for (const theme of ['light', 'dark']) {
      await page.emulateMediaFeatures([{ name: 'prefers-color-scheme', value: theme }])
      const found = await violationsOf(page, 'colours')
      if (theme === 'light') found.push(...(await violationsOf(page, 'others')))
      errors.push(...found.map((each) => `${theme}, ${width} px: ${each}`))
    }
  }
  return errors
}

/** Charts are resized a frame or more later; overflow that lasts this long is permanent. */
const fittingMs = 5_000

/** The horizontal overflow of the page in pixels. */
export async function overflowOf(page: Page): Promise<number> {
  const fits = () => document.documentElement.scrollWidth <= window.innerWidth
  await page.waitForFunction(fits, { polling: 'raf', timeout: fittingMs }).catch(() => undefined)
  return page.evaluate(() => Math.max(0, document.documentElement.scrollWidth - window.innerWidth))
}
