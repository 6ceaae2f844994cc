import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import type { Page } from 'puppeteer-core'

/** Globals of functions that run in the browser. */
interface PageElement {
  readonly localName: string
  readonly parentElement: PageElement | null
  readonly childNodes: Iterable<{ nodeType: number; data: string }>
  checkVisibility(options: object): boolean
}
declare const document: {
  documentElement: { scrollWidth: number }
  querySelector(selector: string): PageElement | null
  querySelectorAll(selector: string): Iterable<PageElement>
}
declare const window: { innerWidth: number; matchMedia(query: string): { matches: boolean } }
declare function requestAnimationFrame(callback: (time: number) => void): void
declare function getComputedStyle(element: PageElement): Record<string, string>
declare const axe: {
  run(context: object, options: object): Promise<{ violations: AxeResult[]; passes: AxeResult[] }>
}

interface AxeResult {
  id: string
  nodes: { html: string; element?: PageElement; failureSummary?: string }[]
}

const axeSource = readFileSync(fileURLToPath(import.meta.resolve('axe-core/axe.min.js')), 'utf8')

/** Rules that depend on colours, and so on the theme; all others depend on the width only. */
const ofColours = ['color-contrast', 'link-in-text-block']

/** The width of a large display, of a laptop and of a phone; in the dark theme those with the most and the least content. */
const views = [
  { theme: 'light', width: 1920 },
  { theme: 'light', width: 1280 },
  { theme: 'light', width: 390 },
  { theme: 'dark', width: 390 },
  { theme: 'dark', width: 1920 },
]

/** How texts look that have passed: an axe-core that sees one again comes to the same result. */
const passedLooks = new Set<string>()

/**
 * Checks the current page at three widths for violations that axe-core finds (WCAG 2.2 A and AA, and its best practices) and for
 * horizontal overflow, and its colours in both themes. It begins with the theme in which the previous check ended, as each change
 * draws the page again.
 */
export async function pageErrorsOf(page: Page): Promise<string[]> {
  const errors: string[] = []
  if (!(await page.evaluate(() => 'axe' in globalThis))) await page.evaluate(axeSource)
  const isDark = await page.evaluate(() => window.matchMedia('(prefers-color-scheme: dark)').matches)
  for (const { theme, width } of isDark ? views.toReversed() : views) {
    await setTheme(page, theme)
    if (page.viewport()?.width !== width) await page.setViewport({ width, height: 900 })
    const found = await colourErrorsOf(page)
    if (theme === 'light') {
      const overflow = await overflowOf(page)
      if (overflow > 0) found.push(`${overflow} px too wide`)
      found.push(...(await page.evaluate(checkStructure, ofColours)))
    }
    errors.push(...found.map((each) => `${theme}, ${width} px: ${each}`))
  }
  return errors
}

/** Pages that change their theme by script are told with the next frame. */
async function setTheme(page: Page, theme: string): Promise<void> {
  const isSet = await page.evaluate(
    (wanted) => window.matchMedia(`(prefers-color-scheme: ${wanted})`).matches,
    theme,
  )
  if (isSet) return
  await page.emulateMediaFeatures([{ name: 'prefers-color-scheme', value: theme }])
  await page.evaluate(
    () => new Promise((resolve) => requestAnimationFrame(() => requestAnimationFrame(resolve))),
  )
}

/**
 * The rules of colours cost more than all others together, so a text is skipped if one that looks the same has passed: the same
 * colours, size and weight, on the same backgrounds.
 */
async function colourErrorsOf(page: Page): Promise<string[]> {
  const { errors, passed } = await page.evaluate(checkColours, ofColours, [...passedLooks])
  for (const look of passed) passedLooks.add(look)
  return errors
}

/** Charts are resized a frame or more later; overflow that lasts this long is permanent. */
const fittingMs = 5_000

/** The horizontal overflow of the page in pixels. */
export async function overflowOf(page: Page): Promise<number> {
  const read = () => Math.max(0, document.documentElement.scrollWidth - window.innerWidth)
  if ((await page.evaluate(read)) === 0) return 0
  const fits = () => document.documentElement.scrollWidth <= window.innerWidth
  await page.waitForFunction(fits, { polling: 'raf', timeout: fittingMs }).catch(() => undefined)
  return page.evaluate(read)
}

/** Runs in the browser. The violations of all rules but those of colours. */
async function checkStructure(ofColours: readonly string[]): Promise<string[]> {
  const rules = Object.fromEntries(ofColours.map((name) => [name, { enabled: false }]))
  const { violations } = await axe.run(document, { resultTypes: ['violations'], selectors: false, rules })
  return violations.flatMap(({ id, nodes }) =>
    nodes.slice(0, 4).map(({ html, failureSummary }) => `${id}: ${html} ${failureSummary}`),
  )
}

/** Runs in the browser. The violations of the rules of colours, and the looks that passed, where those known are skipped. */
async function checkColours(
  rules: readonly string[],
  known: readonly string[],
): Promise<{ errors: string[]; passed: string[] }> {
  const skipped = new Set(known)
  const backdrops = new Map<PageElement | null, string>([[null, '']])
  const backdropOf = (element: PageElement | null): string => {
    const known = backdrops.get(element)
    if (known !== undefined || element === null) return known ?? ''
    const { backgroundColor, backgroundImage, opacity, filter } = getComputedStyle(element)
    const own = `${backgroundColor} ${backgroundImage} ${opacity} ${filter}`
    const above = backdropOf(element.parentElement)
    const backdrop = own === 'rgba(0, 0, 0, 0) none 1 none' ? above : `${above}|${own}`
    backdrops.set(element, backdrop)
    return backdrop
  }
  const lookOf = (element: PageElement): string => {
    const { color, fontSize, fontWeight, textShadow } = getComputedStyle(element)
    return [backdropOf(element), color, fontSize, fontWeight, textShadow].join()
  }
  /** A link within a text must also differ from the text. */
  const isUnknown = (element: PageElement): boolean =>
    (element.localName === 'a' && getComputedStyle(element).display === 'inline') ||
    !skipped.has(lookOf(element))
  // What is behind a modal dialog is checked without the dialog.
  const isModal = document.querySelector('dialog:modal') !== null
  const include = [...document.querySelectorAll(isModal ? 'dialog:modal *' : 'body *')].filter(
    (element) =>
      element.checkVisibility({ visibilityProperty: true }) &&
      (['input', 'select', 'textarea'].includes(element.localName) ||
        [...element.childNodes].some(({ nodeType, data }) => nodeType === 3 && data.trim() !== '')) &&
      isUnknown(element),
  )
  if (include.length === 0) return { errors: [], passed: [] }
  const { violations, passes } = await axe.run(
    { include },
    {
      resultTypes: ['violations', 'passes'],
      elementRef: true,
      selectors: false,
      runOnly: { type: 'rule', values: rules },
    },
  )
  return {
    errors: violations.flatMap(({ id, nodes }) =>
      nodes.slice(0, 4).map(({ html, failureSummary }) => `${id}: ${html} ${failureSummary}`),
    ),
    passed: passes
      .filter(({ id }) => id === 'color-contrast')
      .flatMap(({ nodes }) => nodes.flatMap(({ element }) => (element ? [lookOf(element)] : []))),
  }
}
