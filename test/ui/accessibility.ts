import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import type { Page } from 'puppeteer-core'

/** Globals of functions that run in the browser. */
interface PageElement {
  readonly localName: string
  readonly outerHTML: string
  readonly parentElement: PageElement | null
  readonly childNodes: Iterable<{ nodeType: number; data: string }>
}
declare const document: {
  documentElement: { scrollWidth: number }
  querySelectorAll(selector: string): Iterable<PageElement>
}
declare const window: { innerWidth: number }
declare function getComputedStyle(element: PageElement): Record<string, string>
declare const axe: {
  run(context: object, options: object): Promise<{ violations: AxeResult[]; passes: AxeResult[] }>
}

interface AxeResult {
  id: string
  nodes: { target: unknown[]; html: string; element?: PageElement; failureSummary?: string }[]
}

const axeSource = readFileSync(fileURLToPath(import.meta.resolve('axe-core/axe.min.js')), 'utf8')

/** Rules that depend on colours, and so on the theme; all others depend on the width only. */
const ofColours = ['color-contrast', 'link-in-text-block']

/** The width of a laptop, of a large display and of a phone. */
const widths = [1280, 1920, 390]

/** How texts look that have passed: an axe-core that sees one again comes to the same result. */
const passedLooks = new Set<string>()

/**
 * Checks the current page at three widths for violations that axe-core finds (WCAG 2.2 A and AA, and its best practices) and for
 * horizontal overflow, and its colours in the dark theme too, at the widths with the most and the least content.
 */
export async function pageErrorsOf(page: Page): Promise<string[]> {
  const errors: string[] = []
  const setWidth = (width: number) => page.setViewport({ width, height: 900 })
  const setTheme = (value: string) => page.emulateMediaFeatures([{ name: 'prefers-color-scheme', value }])
  if ((await page.evaluate(() => 'axe' in globalThis)) === false) await page.evaluate(axeSource)
  await setTheme('light')
  for (const width of widths) {
    await setWidth(width)
    const overflow = await overflowOf(page)
    if (overflow > 0) errors.push(`${overflow} px too wide at ${width} px`)
    const found = [...(await page.evaluate(checkStructure, ofColours)), ...(await colourErrorsOf(page))]
    errors.push(...found.map((each) => `light, ${width} px: ${each}`))
  }
  await setTheme('dark')
  for (const width of [390, 1920]) {
    await setWidth(width)
    const found = await colourErrorsOf(page)
    errors.push(...found.map((each) => `dark, ${width} px: ${each}`))
  }
  return errors
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
  const { violations } = await axe.run(document, { resultTypes: ['violations'], rules })
  return violations.flatMap(({ id, nodes }) =>
    nodes.slice(0, 4).map(({ target, failureSummary }) => `${id}: ${target.join(' ')} ${failureSummary}`),
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
  const include = [...document.querySelectorAll('body *')].filter(
    (element) =>
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
