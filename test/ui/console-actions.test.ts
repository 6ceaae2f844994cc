import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { after, before, describe, test } from 'node:test'
import type { HTTPRequest } from 'puppeteer-core'
import { root } from '../helpers/child-env.ts'
import { modelsConfig } from '../helpers/models-config.ts'
import { startRouter } from '../helpers/router.ts'
import type { TestBrowser } from './browser.ts'
import { browserFor, type ConsoleBrowser, needsChromium, openConsole } from './console-browser.ts'
import { adminKey, type ConsoleFleet, startConsoleFleet } from './console-fleet.ts'

/** Globals of functions that run in the browser. */
declare const document: { querySelector(selector: string): { textContent: string } | null }

/** Milliseconds between checks of text content, for whose changes Chromium has no event. */
const polling = 50

/** A stub of the OpenAI library, which need not be installed. It prints its arguments. */
const pythonLibrary = `
import json
class OpenAI:
    def __init__(self, base_url, api_key):
        assert base_url.endswith("/api/v1") and api_key.startswith("sk-")
        self.chat = self
        self.completions = self
    def create(self, **asked):
        print(json.dumps(asked))
        return []
`

/** Runs a copied program as a user would. Returns its output to stdout. */
async function run(
  language: 'curl' | 'Python' | 'TypeScript',
  program: string,
  key: string,
): Promise<string> {
  const folder = mkdtempSync(join(tmpdir(), 'llm-router-copied-'))
  writeFileSync(join(folder, 'openai.py'), pythonLibrary)
  const [command, args] = {
    curl: ['sh', ['-s']] as const,
    Python: ['python3', ['-']] as const,
    TypeScript: [process.execPath, ['--input-type=module-typescript']] as const,
  }[language]
  const child = spawn(command, args, {
    cwd: root,
    env: { ...process.env, LLM_ROUTER_KEY: key, PYTHONPATH: folder },
    stdio: ['pipe', 'pipe', 'ignore'],
  })
  child.stdin.end(program)
  const output = await text(child.stdout)
  rmSync(folder, { recursive: true })
  return output
}

describe('operator actions in the console', needsChromium, () => {
  let chrome: TestBrowser
  let fleet: ConsoleFleet
  let console: ConsoleBrowser
  before(async () => {
    ;[chrome, fleet] = await Promise.all([browserFor(), startConsoleFleet()])
    console = await openConsole(chrome, fleet.router.url)
    await console.signIn()
  })
  after(async () => {
    await chrome?.close()
    await fleet?.close()
  })

  const showTarget = async (id: string): Promise<void> => {
    await console.goTo('Fleet')
    await console.click(`[data-target="${id}"] button`)
  }

  /** Waits for a message, and for the end of the question that has led to it: until then clicks beside it would only close it. */
  const reported = async (message: string): Promise<void> => {
    await console.page.waitForSelector(`.toasts ::-p-text(${message})`)
    await console.page.waitForFunction(() => document.querySelector('dialog.question') === null, { polling })
  }

  const targetState = async (id: string): Promise<string | undefined> =>
    fleet.router.app.status
      .read()
      .models.flatMap(({ targets }) => targets)
      .find((target) => target.id === id)?.state

  test('draining a server shows the effect first, and resuming it brings it back', async () => {
    const { page, click, text } = console
    await showTarget('dgx1')
    await page.setRequestInterception(true)
    const effects = new Promise<HTTPRequest>((resolve) => {
      page.on('request', (request) => {
        if (request.url().includes('/effects?')) resolve(request)
        else void request.continue()
      })
    })
    await click('dialog ::-p-text(Drain)')
    const request = await effects
    const confirm = 'dialog.question button[type=submit]'
    assert.equal(await page.$eval(confirm, (button) => Object(button).disabled), true)
    await request.continue()
    await page.waitForSelector(`${confirm}:enabled`)
    page.removeAllListeners('request')
    await page.setRequestInterception(false)
    assert.match(await text('#effect'), /dgx1 .*no new requests.*other usable/)
    await click(confirm)
    await reported('dgx1 is drained')
    assert.equal(await targetState('dgx1'), 'drained')
    await page.waitForSelector('dialog.drawer ::-p-text(Resume)')
    await click('dialog.drawer ::-p-text(Resume)')
    await click('dialog.question button[type=submit]')
    await reported('dgx1 takes requests again')
    assert.equal(await targetState('dgx1'), 'up')
  })

  test('draining the last usable server of a model requires a second confirmation', async () => {
    const { page, click } = console
    await showTarget('h200-1')
    await click('dialog ::-p-text(Drain)')
    await page.waitForSelector('dialog.question input[type=checkbox]')
    assert.equal(
      await page.$eval('dialog.question button[type=submit]', (button) => Object(button).disabled),
      true,
    )
    await click('dialog.question input[type=checkbox]')
    await click('dialog.question button[type=submit]')
    await reported('h200-1 is drained')
    await fleet.router.app.overrides.drain('h200-1', false, 'test')
  })

  test('weights can be set, and a failed unload shows the reason', async () => {
    const { page, click, fill, goTo, text } = console
    await goTo('Fleet')
    await click('::-p-text(By model)')
    await click('[aria-label="Weights of llama-3.3-70b"]')
    await fill('input[name=weight-1]', '0.25')
    await click('dialog button[type=submit]')
    await reported('weights of llama-3.3-70b are set')
    const [, dgx2] = fleet.router.app.status.read().models[0]?.targets ?? []
    assert.deepEqual([dgx2?.weight, dgx2?.configured_weight], [0.25, 0.5])
    await click('[aria-label="Unload qwen3-32b"]')
    await page.waitForSelector('#effect:not(:empty)')
    await click('dialog button[type=submit]')
    await page.waitForFunction(() => document.querySelector('dialog [role=alert]')?.textContent !== '', {
      polling,
    })
    assert.match(
      await text('dialog [role=alert]'),
      /No server of the model 'qwen3-32b' loads models on demand/,
    )
    await page.keyboard.press('Escape')
    await page.waitForSelector('dialog', { hidden: true })
  })

  test('a client and a key can be created; the key is shown once, works, and can be rotated and revoked', async () => {
    const { page, click, fill, goTo } = console
    await goTo('Teams')
    await click('#new-client')
    await fill('[name=field-id]', 'robot')
    await fill('[name=field-group]', 'research')
    await click('dialog button[type=submit]')
    await click('tbody ::-p-text(robot)')
    await click('dialog ::-p-text(New key)')
    await fill('[name=description]', 'night shift')
    await click('dialog.question button[type=submit]')
    const key = await (await page.waitForSelector('#new-key'))?.evaluate((element) => element.textContent)
    assert.equal((await fleet.chat(key ?? '', 'qwen3-32b')).status, 200)
    await click('::-p-text(I have it)')
    await page.waitForSelector('#new-key', { hidden: true })
    assert.ok(!(await page.content()).includes(key ?? 'none'))
    await click('dialog.drawer [aria-label^="Rotate"]')
    await click('dialog.question button[type=submit]')
    const other = await (await page.waitForSelector('#new-key'))?.evaluate((element) => element.textContent)
    assert.notEqual(other, key)
    await click('::-p-text(I have it)')
    const revoke = `dialog.drawer tr ::-p-aria([name="Revoke ${key?.slice(0, 8)}"])`
    assert.ok(revoke)
    await click(
      'dialog.drawer tbody tr:last-child [aria-label^="Revoke"], dialog.drawer [aria-label^="Revoke"]',
    )
    await click('dialog.question button[type=submit]')
    await reported('is revoked')
    const { body } = await fleet.admin('GET', '/keys?client=robot')
    assert.equal(
      body.data.filter((each: { revoked_at: string | null }) => each.revoked_at !== null).length,
      1,
    )
  })

  test('budgets and prices can be changed and removed, and the changes are in the audit log', async () => {
    const { page, click, fill, goTo } = console
    await goTo('Teams')
    await click('#tab-budgets')
    await click('[aria-label="Edit research-month"]')
    await page.$eval('[name=field-limit]', (input) => {
      Object(input).value = ''
    })
    await fill('[name=field-limit]', '9000')
    await click('dialog button[type=submit]')
    await reported('research-month is changed')
    assert.equal((await fleet.admin('GET', '/budgets/research-month')).body.limit, 9_000)
    await click('[aria-label="Remove students-week"]')
    await click('dialog button[type=submit]')
    await reported('students-week is removed')
    assert.equal((await fleet.admin('GET', '/budgets/students-week')).status, 404)
    await goTo('Models')
    await click('#tab-prices')
    await click('#new-price')
    await fill('[name=field-id]', 'qwen')
    await fill('[name=field-model]', 'qwen*')
    await fill('[name=field-prompt]', '0.2')
    await click('dialog button[type=submit]')
    await page.waitForSelector('tbody ::-p-text(qwen*)')
    await goTo('Settings')
    await click('#tab-audit')
    await page.waitForSelector('tbody tr:first-child ::-p-text(create price qwen)')
    assert.match(await console.text('tbody tr:first-child'), /admin-key.*console/)
  })

  test('the playground compares two models, shows their speed, and explains where a request would go', async () => {
    const { page, click, fill, goTo, text } = console
    await goTo('Playground')
    await click('#compare')
    await page.select('.field:has(select.model) ~ * select, select.model', 'llama-3.3-70b')
    await page.$$eval('select.target', ([first]) => {
      const select = Object(first)
      select.value = 'dgx1'
      select.dispatchEvent(new (Object(globalThis).Event)('change', { bubbles: true }))
    })
    await click('#send')
    for (const side of ['Response 1', 'Response 2'])
      await page.waitForSelector(`[aria-label="${side}"][data-state=done]`)
    assert.match(
      await text('[aria-label="Response 1"]'),
      /dgx1.*A router in front of several servers.*first token \d+ ms.*tokens\/s \d+/s,
    )
    assert.equal(
      fleet.router.logs.some(({ msg, client }) => msg === 'request' && client === 'console'),
      true,
    )
    await click('#explain')
    await page.waitForSelector('dialog .notice strong')
    await page.keyboard.press('Escape')
    await fill('[name=system]', "it's short")
    for (const [language, expected] of [
      ['curl', /curl .*\/api\/v1\/chat\/completions[\s\S]*it'\\''s short/],
      ['Python', /client\.chat\.completions\.create\([\s\S]*"stream": True/],
      ['TypeScript', /baseURL: '.*\/api\/v1'/],
    ] as const) {
      await page.evaluate(() => {
        Object(globalThis).copied = undefined
        Object(globalThis).navigator.clipboard.writeText = async (copied: string) => {
          Object(globalThis).copied = copied
        }
      })
      await click(`::-p-text(${language})`)
      await page.waitForSelector('.toasts ::-p-text(Copied)')
      const copied = await page.waitForFunction(() => Object(globalThis).copied, { polling })
      const program = String(await copied.jsonValue())
      assert.match(program, expected)
      const output = await run(language, program, fleet.key)
      if (language === 'Python')
        assert.deepEqual(Object(JSON.parse(output)).messages[0], { role: 'system', content: "it's short" })
      else
        assert.match(
          output.replaceAll(/data: .*?"content":"([^"]*)".*?\n+/g, '$1'),
          /A router in front of several servers/,
        )
    }
  })

  test('requests appear as they end, can be filtered, and show their attempts', async () => {
    const { page, click, fill, goTo, text } = console
    await goTo('Requests')
    await page.waitForSelector('#page .card')
    await page.waitForSelector('#as-of[data-state=live]')
    await fleet.traffic()
    await page.waitForSelector('tbody ::-p-text(gpt-9)')
    await page.waitForSelector('#unknown ::-p-text(gpt-9)')
    await fill('#find', 'qwen3-32b')
    await page.waitForSelector('tbody tr ::-p-text(qwen3-32b)')
    await page.select('#status', '4xx')
    await page.waitForSelector('tbody tr ::-p-text(rejected)')
    await click('[aria-label="Requests, the latest first"] tbody button')
    await page.waitForSelector('dialog .timeline .bar')
    assert.match(await text('dialog'), /alice.*qwen3-32b/s)
    await page.keyboard.press('Escape')
  })

  test('a viewer sees that access is read-only, and gets no buttons that change clients', async () => {
    const { body } = await fleet.admin('POST', '/clients', {
      id: 'guest',
      role: 'viewer',
      surfaces: ['operator'],
    })
    assert.equal(body.id, 'guest')
    const made = await fleet.admin('POST', '/clients/guest/keys', {})
    const { page, click, goTo, signIn, use } = console
    await use(fleet.router.url)
    await signIn(made.body.key)
    await goTo('Teams')
    await page.waitForSelector('tbody ::-p-text(alice)')
    assert.equal(await page.$('#new-client'), null)
    await showTarget('dgx1')
    await click('dialog ::-p-text(Drain)')
    await page.waitForSelector('dialog ::-p-text(guest has the role viewer)')
  })

  test('without a database the teams page says so, and the fleet can still be changed', async (t) => {
    const models = modelsConfig({
      m: [
        { id: 'gpu1', api_type: 'mock' },
        { id: 'gpu2', api_type: 'mock' },
      ],
    })
    const other = await startRouter({ models, env: { LLM_ROUTER_ADMIN_KEY: adminKey } })
    t.after(() => other.close())
    const { page, click, goTo, signIn, use } = console
    await use(other.url)
    await signIn()
    await goTo('Teams')
    await page.waitForSelector('::-p-text(no database)')
    await showTarget('gpu1')
    await click('dialog ::-p-text(Drain)')
    await click('dialog.question button[type=submit]')
    await reported('gpu1 is drained')
    assert.equal(other.app.status.read().models[0]?.targets[0]?.state, 'drained')
  })

  test('the console caused no browser errors during these actions', () => {
    assert.deepEqual(
      console.browserErrors.filter((each) => !/status of 4\d\d/.test(each)),
      [],
    )
  })
})
