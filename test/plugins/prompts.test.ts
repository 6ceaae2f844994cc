import assert from 'node:assert/strict'
import fs, { mkdirSync, mkdtempSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { syncBuiltinESMExports } from 'node:module'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { Writable } from 'node:stream'
import { type TestContext, test } from 'node:test'
import { setImmediate } from 'node:timers/promises'
import fastify, { type FastifyBaseLogger, type FastifyInstance } from 'fastify'
import { pino } from 'pino'
import { loadConfig } from '../../src/config/settings/settings.ts'
import config from '../../src/plugins/config.ts'
import prompts from '../../src/plugins/prompts/index.ts'
import registries from '../../src/plugins/registries.ts'
import reload from '../../src/plugins/reload/index.ts'

const answer = 'builtin/system/*/answer-from-context-simple'
const polish = 'builtin/system/pl/answer-from-context-simple.prompt'

interface Line {
  level: number
  msg: string
}

function emptyFolder(t: TestContext): string {
  const folder = mkdtempSync(join(tmpdir(), 'llm-router-prompts-'))
  t.after(() => rmSync(folder, { recursive: true, force: true }))
  return folder
}

function write(folder: string, path: string, content: string | Uint8Array): void {
  mkdirSync(dirname(join(folder, path)), { recursive: true })
  writeFileSync(join(folder, path), content)
}

/** The plugin without an app, over a directory, with access to its log. */
function appOver(directory: string): {
  app: FastifyInstance
  lines: Line[]
  logged(text: string): Promise<void>
} {
  const lines: Line[] = []
  const waiting = new Set<() => void>()
  const stream = new Writable({
    write(chunk, _encoding, done) {
      lines.push(JSON.parse(String(chunk)))
      for (const check of waiting) check()
      done()
    },
  })
  const logger: FastifyBaseLogger = pino(stream)
  const app = fastify({ loggerInstance: logger })
  app.register(config, { config: loadConfig({ LLM_ROUTER_PROMPTS_DIR: directory }).config })
  app.register(registries)
  app.register(reload, { env: {} })
  app.register(prompts)
  const logged = (text: string): Promise<void> =>
    new Promise((resolve) => {
      const check = (): void => {
        if (lines.some(({ msg }) => msg.includes(text))) resolve()
      }
      waiting.add(check)
      check()
    })
  return { app, lines, logged }
}

async function readyOver(t: TestContext, directory: string): Promise<ReturnType<typeof appOver>> {
  const started = appOver(directory)
  t.after(() => started.app.close())
  await started.app.ready()
  return started
}

/** Resolves when the library returns this text, immediately or after a reload. */
function served(app: FastifyInstance, text: string, id = answer, language = 'pl'): Promise<void> {
  return new Promise((resolve) => {
    const check = (): void => {
      if (app.prompts.resolve(id, language)?.text === text) resolve()
    }
    app.prompts.onReload(check)
    check()
  })
}

function problems(lines: readonly Line[]): string[] {
  return lines.filter(({ level }) => level >= 40).map(({ msg }) => msg)
}

test('the shipped directory has every prompt that the endpoints need, without a warning', async (t) => {
  const { app, lines } = await readyOver(t, join(import.meta.dirname, '../../resources/prompts'))
  for (const language of ['en', 'pl', '']) assert.ok(app.prompts.resolve(answer, language)?.shipped)
  assert.deepEqual(problems(lines), [])
})

test('a prompt missing from the directory is replaced by the shipped one, with one warning for many requests', async (t) => {
  const folder = emptyFolder(t)
  write(folder, 'builtin/system/pl/own.prompt', 'own')
  const { app, lines } = await readyOver(t, folder)
  for (let index = 0; index < 3; index++)
    assert.match(app.prompts.resolve(answer, 'en')?.text ?? '', /##QUESTION_STR##/)
  assert.equal(app.prompts.resolve('builtin/system/*/own', undefined)?.text, 'own')
  assert.equal(problems(lines).length, 1)
})

test('a file that is overwritten is reloaded', async (t) => {
  const folder = emptyFolder(t)
  write(folder, polish, 'first')
  const { app } = await readyOver(t, folder)
  assert.equal(app.prompts.resolve(answer, 'pl')?.text, 'first')
  write(folder, polish, 'second')
  await served(app, 'second')
})

test('new folders and files are found, and deleted prompts fall back to the shipped ones', async (t) => {
  const folder = emptyFolder(t)
  write(folder, polish, 'po polsku')
  const { app } = await readyOver(t, folder)
  write(folder, 'builtin/system/de/answer-from-context-simple.prompt', 'auf Deutsch')
  await served(app, 'auf Deutsch', answer, 'de')
  rmSync(join(folder, 'builtin/system/de'), { recursive: true })
  await served(app, 'po polsku', answer, 'de')
})

test('a Kubernetes volume is reloaded at every swap', async (t) => {
  const folder = emptyFolder(t)
  write(folder, join('..v1', polish), 'v1')
  symlinkSync('..v1', join(folder, '..data'))
  symlinkSync('..data/builtin', join(folder, 'builtin'))
  const { app, lines } = await readyOver(t, folder)
  assert.equal(app.prompts.resolve(answer, 'pl')?.text, 'v1')
  for (const [former, next] of [
    ['..v1', '..v2'],
    ['..v2', '..v3'],
  ] as const) {
    write(folder, join(next, polish), next)
    symlinkSync(next, join(folder, '..data_tmp'))
    renameSync(join(folder, '..data_tmp'), join(folder, '..data'))
    rmSync(join(folder, former), { recursive: true })
    await served(app, next)
  }
  assert.deepEqual(problems(lines), [])
})

test('a missing directory is one warning, and its prompts are used once it appears, at any depth', async (t) => {
  const folder = emptyFolder(t)
  const directory = join(folder, 'not/there/yet')
  const { app, lines } = await readyOver(t, directory)
  assert.match(app.prompts.resolve(answer, 'en')?.text ?? '', /##QUESTION_STR##/)
  assert.equal(problems(lines).length, 1)
  write(directory, polish, 'here')
  await served(app, 'here')
  assert.equal(problems(lines).length, 1)
})

test('a directory that disappears keeps its prompts, with an error, and is found when it comes back', async (t) => {
  const folder = emptyFolder(t)
  const directory = join(folder, 'prompts')
  write(directory, polish, 'first')
  const { app, logged } = await readyOver(t, directory)
  rmSync(directory, { recursive: true })
  await logged('no longer exists')
  assert.equal(app.prompts.resolve(answer, 'pl')?.text, 'first')
  write(directory, polish, 'second')
  await served(app, 'second')
  write(directory, polish, 'third')
  await served(app, 'third')
})

test('a directory that is replaced by a rename is still watched', async (t) => {
  const folder = emptyFolder(t)
  const directory = join(folder, 'prompts')
  write(directory, polish, 'first')
  write(join(folder, 'next'), polish, 'second')
  const { app } = await readyOver(t, directory)
  renameSync(directory, join(folder, 'former'))
  renameSync(join(folder, 'next'), directory)
  await served(app, 'second')
  write(directory, polish, 'third')
  await served(app, 'third')
})

test('a reload with an invalid file keeps all previous prompts and logs an error, until the file is fixed', async (t) => {
  const folder = emptyFolder(t)
  write(folder, polish, 'first')
  const { app, lines, logged } = await readyOver(t, folder)
  write(folder, 'builtin/system/pl/bad.prompt', Uint8Array.of(0xff))
  await logged('not UTF-8')
  assert.deepEqual(problems(lines), [
    'LLM_ROUTER_PROMPTS_DIR: builtin/system/pl/bad.prompt: not UTF-8; the prompts in use stay in effect',
  ])
  assert.equal(app.prompts.resolve(answer, 'pl')?.text, 'first')
  write(folder, polish, 'second')
  rmSync(join(folder, 'builtin/system/pl/bad.prompt'))
  await served(app, 'second')
})

test('a start with an invalid file logs it once and serves the other prompts', async (t) => {
  const folder = emptyFolder(t)
  write(folder, polish, 'good')
  write(folder, 'builtin/system/pl/bad.prompt', Uint8Array.of(0xff))
  const { app, lines } = await readyOver(t, folder)
  assert.equal(app.prompts.resolve(answer, 'pl')?.text, 'good')
  assert.deepEqual(problems(lines), ['LLM_ROUTER_PROMPTS_DIR: builtin/system/pl/bad.prompt: not UTF-8'])
})

test('a change during the start is not missed', async (t) => {
  const folder = emptyFolder(t)
  write(folder, polish, 'first')
  const { app } = appOver(folder)
  t.after(() => app.close())
  app.addHook('onReady', async () => write(folder, polish, 'second'))
  await app.ready()
  await served(app, 'second')
})

test('where the system refuses to watch, one warning says so and the prompts are served', async (t) => {
  const folder = emptyFolder(t)
  write(folder, polish, 'first')
  t.mock.method(fs, 'watch', () => {
    throw Object.assign(new Error('no more watches'), { code: 'ENOSPC' })
  })
  syncBuiltinESMExports()
  const { app, lines } = await readyOver(t, folder)
  t.mock.restoreAll()
  syncBuiltinESMExports()
  assert.equal(app.prompts.resolve(answer, 'pl')?.text, 'first')
  assert.deepEqual(problems(lines), ['LLM_ROUTER_PROMPTS_DIR: changes are detected late, within 10 s'])
})

test('closing the plugin leaves no watcher behind, nor does a failed start', async (t) => {
  const watches = async (): Promise<number> => {
    await setImmediate() // a closed handle is released in the next event loop iteration
    return process.getActiveResourcesInfo().filter((name) => name.startsWith('FSEvent')).length
  }
  const before = await watches()
  const folder = emptyFolder(t)
  write(folder, polish, 'first')
  const { app } = appOver(folder)
  await app.ready()
  assert.ok((await watches()) > before)
  await app.close()
  assert.equal(await watches(), before)

  const failing = appOver(folder).app
  failing.register((_instance, _options, done) => done(new Error('a later plugin fails')))
  await assert.rejects(async () => failing.ready(), /later plugin/)
  assert.equal(await watches(), before)
})
