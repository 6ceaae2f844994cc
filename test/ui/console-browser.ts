import assert from 'node:assert/strict'
import type { Page } from 'puppeteer-core'
import { findChromium, startBrowser, type TestBrowser } from './browser.ts'
import { adminKey } from './console-fleet.ts'

export const chromium = findChromium()
export const needsChromium =
  chromium === undefined ? { skip: 'needs Chromium: sudo apt-get install chromium' } : {}

export interface ConsoleBrowser {
  /** A page of the console for whoever is signed in within this context. */
  readonly page: Page
  /** Browser errors: exceptions, failed loads, violations of the content security policy. */
  readonly browserErrors: string[]
  /** Opens a page by its path below `/ui`, and waits until it is rendered. */
  open(path: string): Promise<void>
  /** Opens a page by its link, without loading the console again, unless it is open; closes dialogs first. */
  goTo(title: string): Promise<void>
  /** Signs in on a page, by default the overview, which is then shown. */
  signIn(key?: string, path?: string): Promise<void>
  /** Switches to a router without a session. Opening another page would cost a second. */
  use(url: string): Promise<void>
  /** Enters a text at once. A frame for each character would cost a second. */
  fill(selector: string, text: string): Promise<void>
  /** The text content of the element that a selector matches. */
  text(selector: string): Promise<string>
  /** Waits until an element matches a selector, which may be one of Puppeteer's own, and is enabled; then clicks it. */
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
  const fill = async (selector: string, text: string): Promise<void> => {
    await page.focus(selector)
    await page.keyboard.sendCharacter(text)
  }
  const console: ConsoleBrowser = {
    page,
    browserErrors,
    async open(path) {
      await page.goto(`${url}/ui${path}`)
      await page.waitForSelector('#page > *')
      await page.waitForSelector('#as-of:not([data-state=connecting])')
    },
    async goTo(title) {
      const countDialogs = () => page.$$eval('dialog[open]', ({ length }) => length)
      for (let count = await countDialogs(); count > 0; count = await countDialogs()) {
        await page.keyboard.press('Escape')
        await page.waitForFunction(
          (before: number) => Object(globalThis).document.querySelectorAll('dialog[open]').length < before,
          { polling: 20 },
          count,
        )
      }
      if ((await page.$eval('h1', ({ textContent }) => textContent)) === title) return
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
    async signIn(key = adminKey, path = '') {
      await page.goto(`${url}/ui${path}`)
      await fill('#key', key)
      await page.keyboard.press('Enter')
      await page.waitForSelector('#sign-out')
    },
    async use(next) {
      await context.deleteCookie(...(await context.cookies()))
      url = next
    },
    fill,
    text: (selector) => page.$eval(selector, (element) => element.textContent),
    async click(selector) {
      const element = await page.waitForSelector(selector, { visible: true })
      await page.waitForFunction((each) => Object(each).disabled !== true, { polling: 20 }, element)
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
