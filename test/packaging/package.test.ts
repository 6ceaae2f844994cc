import assert from 'node:assert/strict'
import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import {
  existsSync,
  globSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { after, before, describe, test } from 'node:test'
import { nodeError } from '../../src/runtime/node-floor.js'
import { blocksOf } from '../docs/blocks.ts'
import { post } from '../helpers/http.ts'
import { messages } from '../helpers/messages.ts'
import { git } from './checkout.ts'
import { files as releaseFiles, unpack } from './dry-run.ts'

const root = join(import.meta.dirname, '../..')
/** Outside the repository, so that nothing of it is found by accident. */
const folder = mkdtempSync(join(tmpdir(), 'llm-router-package-'))
/** A project with the package installed. */
const project = join(folder, 'project')
/** The layout of `npm install --global`. */
const globalPrefix = join(folder, 'prefix')
/** Node's compile cache: after the first start each start of an installation takes half the time. */
const compileCache = { NODE_COMPILE_CACHE: join(folder, 'compiled') }
/** A folder without installed packages. */
const elsewhere = join(folder, 'elsewhere')

before(() => {
  for (const modules of [join(project, 'node_modules'), join(globalPrefix, 'lib/node_modules')]) {
    const own = join(modules, 'llm-router')
    unpack(own)
    linkDependencies(own)
  }
  mkdirSync(join(project, 'node_modules/@types'))
  symlinkSync(join(root, 'node_modules/@types/node'), join(project, 'node_modules/@types/node'))
  mkdirSync(join(globalPrefix, 'bin'))
  symlinkSync('../lib/node_modules/llm-router/bin/llm-router.js', join(globalPrefix, 'bin/llm-router'))
  mkdirSync(elsewhere)
})
after(() => rmSync(folder, { recursive: true, force: true }))

/** Replaces an installation, which needs a network: links the dependencies that package.json names, and no others. */
function linkDependencies(own: string): void {
  const { dependencies }: { dependencies: Record<string, string> } = JSON.parse(
    readFileSync(join(own, 'package.json'), 'utf8'),
  )
  for (const name of Object.keys(dependencies)) {
    const link = join(own, 'node_modules', name)
    mkdirSync(join(link, '..'), { recursive: true })
    symlinkSync(join(root, 'node_modules', name), link)
  }
}

const installed = () => join(project, 'node_modules/llm-router/bin/llm-router.js')
const globally = () => join(globalPrefix, 'bin/llm-router')

interface Started {
  url: string
  /** Runs until the end of the test. */
  child: ChildProcess
}

/** Starts the router with its command, as a user does. */
async function start(
  t: { after(stop: () => Promise<void>): void },
  command: string,
  { cwd, env }: { cwd: string; env: Record<string, string> },
): Promise<Started> {
  const child = spawn(process.execPath, [command], {
    cwd,
    stdio: ['ignore', 'pipe', 'pipe'],
    env: {
      PATH: process.env.PATH ?? '',
      LLM_ROUTER_SERVER_PORT: '0',
      LLM_ROUTER_SERVER_HOST: '127.0.0.1',
      LLM_ROUTER_LOG_FILENAME: '',
      LLM_ROUTER_LOG_FORMAT: 'json',
      LLM_ROUTER_DRAIN_ACCEPT: '0',
      ...compileCache,
      ...env,
    },
  })
  t.after(async () => {
    if (child.exitCode !== null) return
    const closed = once(child, 'close')
    // A killed process would not write the cache.
    child.kill('SIGTERM')
    await closed
  })
  let errors = ''
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    errors += text
  })
  for await (const line of createInterface({ input: child.stdout })) {
    const { msg, port }: { msg?: string; port?: number } = JSON.parse(line)
    if (msg === 'listening') return { url: `http://127.0.0.1:${port}`, child }
  }
  return assert.fail(errors)
}

const text = (page: string, part: string) =>
  blocksOf(page).find((block) => block.text.includes(part))?.text ?? assert.fail(`${page} has no ${part}`)

test('the package contains the compiled router with its resources, and neither sources nor tests', () => {
  const own = join(project, 'node_modules/llm-router')
  for (const name of [
    'bin/llm-router.js',
    'dist/index.js',
    'dist/index.d.ts',
    'dist/sdk.js',
    'dist/sdk.d.ts',
    'dist/stores/redis/lua/acquire-lease.lua',
    'resources/configs/models-config.json',
    'console/index.html',
    'console/pages/fleet.js',
    'README.md',
    'LICENSE',
  ])
    assert.ok(existsSync(join(own, name)), name)
  for (const name of ['src', 'test', 'bench', 'scripts', 'llm-router.log'])
    assert.ok(!existsSync(join(own, name)), name)
})

test("no text contains the npm name of another publisher's package", () => {
  const names = git(root, 'ls-files', '--', ':!test', ':!CHANGELOG.md').split('\n')
  for (const name of names.filter(
    (path) => /\.(?:md|ts|js|sh|yaml|html|json)$/.test(path) && existsSync(join(root, path)),
  ))
    assert.doesNotMatch(
      readFileSync(join(root, name), 'utf8'),
      /npx (?:-y )?llm-router|npm (?:i|install)(?: -\S+| --\S+)* llm-router(?![@\w])/,
      name,
    )
})

test('every declaration that another one imports is in the package', () => {
  const dist = join(project, 'node_modules/llm-router/dist')
  const names = globSync('**/*.d.ts', { cwd: dist })
  assert.ok(names.length > 20)
  for (const name of names)
    for (const [, specifier = ''] of readFileSync(join(dist, name), 'utf8').matchAll(
      /['"](\.[^'"]+)\.[jt]s['"]/g,
    ))
      assert.ok(existsSync(join(dist, name, '..', `${specifier}.d.ts`)), `${specifier} of ${name}`)
})

test('the installed command rejects an outdated Node with one sentence', () => {
  const version = '20.20.2'
  const older = `Object.defineProperty(process.versions, 'node', { value: '${version}' })`
  const args = ['--no-strip-types', '--import', `data:text/javascript,${encodeURIComponent(older)}`]
  for (const command of [[], ['check'], ['--version']]) {
    const { status, stdout, stderr } = spawnSync(process.execPath, [...args, globally(), ...command], {
      encoding: 'utf8',
    })
    assert.deepEqual([status, stdout, stderr], [1, '', `${nodeError(version)}\n`])
  }
})

test('the installed package starts in an empty folder and serves requests', async (t) => {
  const { url } = await start(t, installed(), { cwd: project, env: {} })
  const body = { model: 'demo', messages }
  const answer = await post(`${url}/v1/chat/completions`, body)
  assert.equal(answer.status, 200, answer.text)
  assert.match(answer.text, /the last user message says/)
  for (const path of ['/ui', '/docs', '/docs/scalar.js', '/openapi.json', '/api/builtin'])
    assert.equal((await fetch(url + path)).status, 200, path)
})

test('a program can start the router as a library', () => {
  writeFileSync(
    join(project, 'program.mjs'),
    `import { createRouter } from 'llm-router'
const app = await createRouter({ env: process.env })
const url = await app.listen({ host: '127.0.0.1', port: 0 })
const answer = await fetch(url + '/v1/models')
const { data } = await answer.json()
await app.close()
process.stdout.write(data.map(({ id }) => id).join())
`,
  )
  const { stdout, stderr } = spawnSync(process.execPath, ['program.mjs'], {
    cwd: project,
    encoding: 'utf8',
    env: {
      PATH: process.env.PATH ?? '',
      ...compileCache,
      LLM_ROUTER_LOG_FILENAME: 'program.log',
      LLM_ROUTER_LOG_LEVEL: 'fatal',
      LLM_ROUTER_MODELS_CONFIG: 'node_modules/llm-router/resources/configs/models-config.json',
    },
  })
  assert.equal(stdout, 'demo', stderr)
})

describe('the examples of docs/extending.md outside the repository', () => {
  const blocks = blocksOf('docs/extending.md').filter(
    ({ language }) => language === 'ts' || language === 'js',
  )

  test('compile against the installed package, in TypeScript and in JavaScript', () => {
    const files = blocks.map(({ language, line, text: code }) => {
      writeFileSync(join(project, `example-${line}.${language}`), code)
      return `example-${line}.${language}`
    })
    // The declarations are resolved, and the names are not of type any.
    writeFileSync(
      join(project, 'wrong.ts'),
      `import { defineExtension } from 'llm-router/sdk'
export default defineExtension(async (app) => {
  // @ts-expect-error a strategy has a name
  app.strategies.add({ create: () => ({ pick: ([first]) => first! }) })
  app.get('/x', { config: { surface: 'text' } }, async (request) => {
    // @ts-expect-error a question has messages
    const answer = await app.gateway.ask({ model: 'demo' }, request)
    // @ts-expect-error a text is no number
    const text: number = answer.text
    return text
  })
  // @ts-expect-error there is no such surface
  app.get('/y', { config: { surface: 'nobody' } }, () => ({}))
})
`,
    )
    writeFileSync(join(project, 'package.json'), '{ "type": "module" }')
    writeFileSync(
      join(project, 'tsconfig.json'),
      JSON.stringify({
        compilerOptions: {
          target: 'es2024',
          module: 'nodenext',
          types: ['node'],
          strict: true,
          noEmit: true,
          skipLibCheck: true,
          allowJs: true,
          checkJs: true,
        },
        files: [...files, 'wrong.ts'],
      }),
    )
    assert.ok(files.some((name) => name.endsWith('.ts')) && files.some((name) => name.endsWith('.js')))
    const compiler = join(root, 'node_modules/.bin/tsc')
    const { status, stdout } = spawnSync(compiler, ['--project', project, '--singleThreaded'], {
      encoding: 'utf8',
    })
    assert.equal(status, 0, stdout)
  })

  test('run in a folder without node_modules with a global installation', async (t) => {
    const names = blocks.map(({ language, line, text: code }) => {
      writeFileSync(join(elsewhere, `example-${line}.${language}`), code)
      return `./example-${line}.${language}`
    })
    const prompts = join(elsewhere, 'prompts/builtin/system/en')
    mkdirSync(prompts, { recursive: true })
    writeFileSync(join(prompts, 'rate-text.prompt'), text('docs/extending.md', '##AUDIENCE_STR##'))
    const { url } = await start(t, globally(), {
      cwd: elsewhere,
      env: {
        LLM_ROUTER_EXTENSIONS: names.join(),
        LLM_ROUTER_PROMPTS_DIR: 'prompts',
        LLM_ROUTER_BALANCE_STRATEGY: 'random',
      },
    })
    assert.deepEqual(await (await fetch(`${url}/hello`)).json(), { models: ['demo'] })
    const question = { model: 'demo', text: 'Cats sleep.' }
    const summary = await post(`${url}/api/summarize`, question)
    assert.match(summary.text, /^\{"summary":"Mock answer from .*","tokens":\d+\}$/)
    const shouted = await post(`${url}/api/shout`, question)
    assert.match(shouted.text, /^MOCK ANSWER FROM .*CATS SLEEP/)
    const missing = await post(`${url}/api/shout`, { ...question, model: 'none' })
    assert.deepEqual([missing.status, JSON.parse(missing.text).error.code], [404, 'model_not_found'])
    const rated = await post(`${url}/api/rate_texts`, { model: 'demo', texts: ['Cats sleep.'] })
    assert.equal(rated.status, 200, rated.text)
    assert.equal((await post(`${url}/api/notes`, {})).status, 200)
    assert.equal((await post(`${url}/api/notes/reset`, {})).status, 401)
  })
})

test("the scoped package has the same command, and extensions from anywhere import the running router's SDK", async (t) => {
  const modules = join(folder, 'scoped/node_modules')
  const scoped = join(modules, '@acme/llm-router')
  unpack(scoped, join(releaseFiles, 'acme-llm-router-9.8.7.tgz'))
  linkDependencies(scoped)
  const work = join(folder, 'work')
  const own = join(work, 'node_modules/of-the-working-directory')
  mkdirSync(own, { recursive: true })
  writeFileSync(
    join(work, 'extension.ts'),
    `import { defineExtension } from 'llm-router/sdk'
export default defineExtension(async (app) => { app.get('/scoped', () => ({ version: 1 })) })
`,
  )
  writeFileSync(
    join(own, 'package.json'),
    JSON.stringify({ name: 'of-the-working-directory', exports: { import: './main.mjs' } }),
  )
  writeFileSync(
    join(own, 'main.mjs'),
    `import { sdkVersion } from 'llm-router/sdk'
export default async (app) => { app.get('/sdk-version', () => ({ sdkVersion })) }
`,
  )
  const beside = join(modules, 'beside-the-router')
  mkdirSync(beside)
  writeFileSync(join(beside, 'package.json'), JSON.stringify({ name: 'beside-the-router', main: 'main.cjs' }))
  writeFileSync(
    join(beside, 'main.cjs'),
    `const { RouterError } = require('llm-router/sdk')
module.exports = async (app) => {
  app.get('/teapot', () => { throw new RouterError('conflict', 'A teapot.', { code: 'teapot' }) })
}
`,
  )
  const { url } = await start(t, join(scoped, 'bin/llm-router.js'), {
    cwd: work,
    env: { LLM_ROUTER_EXTENSIONS: './extension.ts,of-the-working-directory,beside-the-router' },
  })
  assert.deepEqual(await (await fetch(`${url}/scoped`)).json(), { version: 1 })
  assert.deepEqual(await (await fetch(`${url}/sdk-version`)).json(), { sdkVersion: '1.0.0' })
  const answer = await fetch(`${url}/teapot`)
  assert.equal(answer.status, 409)
  assert.match(await answer.text(), /A teapot\./)
})

test('a package that cannot be found prevents startup and is named', () => {
  const { status, stderr } = spawnSync(process.execPath, [globally()], {
    cwd: elsewhere,
    env: {
      PATH: process.env.PATH ?? '',
      ...compileCache,
      LLM_ROUTER_EXTENSIONS: 'no-such-package',
      LLM_ROUTER_LOG_FILENAME: '',
    },
    encoding: 'utf8',
  })
  assert.equal(status, 2)
  assert.match(
    stderr,
    /LLM_ROUTER_EXTENSIONS: "no-such-package": package found neither in .* nor next to the router/,
  )
})
