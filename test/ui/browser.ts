import { accessSync, constants, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { basename, delimiter, join } from 'node:path'
import puppeteer, { type Browser } from 'puppeteer-core'

/** Chromium without the parts that only a visible browser needs, which take most of its main process. */
const shell = 'chromium-headless-shell'

/** The path of Chromium by its usual names, from PATH; undefined if there is none. */
export function findChromium(): string | undefined {
  const folders = (process.env.PATH ?? '').split(delimiter)
  return [shell, 'chromium', 'chromium-browser']
    .flatMap((name) => folders.map((folder) => join(folder, name)))
    .find(canRun)
}

export interface TestBrowser {
  browser: Browser
  close(): Promise<void>
}

/** How long an unused Chromium waits for the next file of the group, in milliseconds. */
const lingerMs = 5_000

/** The browser of this process, its users and its closing timer. */
const shared: { running?: Promise<TestBrowser> | undefined; users: number; ending?: NodeJS.Timeout } = {
  users: 0,
}

/**
 * A headless Chromium that makes no requests of its own. The files of a group run in one process and use the same browser, one
 * after the other; each creates its own contexts.
 */
export async function startBrowser(executablePath: string): Promise<TestBrowser> {
  clearTimeout(shared.ending)
  shared.users++
  shared.running ??= launch(executablePath)
  const { browser, close } = await shared.running
  let isClosed = false
  return {
    browser,
    async close() {
      if (isClosed) return
      isClosed = true
      if (--shared.users > 0) return
      shared.ending = setTimeout(() => {
        shared.running = undefined
        void close()
      }, lingerMs)
    },
  }
}

/** With a separate profile. */
async function launch(executablePath: string): Promise<TestBrowser> {
  const userDataDir = mkdtempSync(join(tmpdir(), 'llm-router-browser-'))
  const browser = await puppeteer.launch({
    executablePath,
    userDataDir,
    headless: basename(executablePath) === shell ? 'shell' : true,
    pipe: true,
    // Without a language, `navigator.language` of the headless shell is none that Intl accepts.
    env: { ...process.env, LANG: 'en_US.UTF-8' },
    // The sandbox of Chromium does not start as root, nor in most containers.
    args: [
      '--no-sandbox',
      '--disable-gpu',
      '--disable-quic',
      '--no-first-run',
      '--disable-background-networking',
      '--disable-component-update',
      '--disable-sync',
      // Animation frames cost more than everything else that a page does; a test of animations enables them.
      '--force-prefers-reduced-motion',
    ],
  })
  return {
    browser,
    async close() {
      await browser.close()
      rmSync(userDataDir, { recursive: true, force: true, maxRetries: 5 })
    },
  }
}

function canRun(path: string): boolean {
  try {
    accessSync(path, constants.X_OK)
    return true
  } catch {
    return false
  }
}
