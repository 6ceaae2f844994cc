import assert from 'node:assert/strict'
import { type ChildProcess, execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { promisify } from 'node:util'
import { ConfigError } from '../src/sdk/errors.ts'
import { childEnv, root } from './helpers/child-env.ts'
import { messages } from './helpers/messages.ts'
import { modelsConfig } from './helpers/models-config.ts'
import { startRouter } from './helpers/router.ts'
import { startRouterProcess } from './helpers/router-process.ts'

const run = promisify(execFile)
let folder: string

before(() => {
  folder = mkdtempSync(join(tmpdir(), 'llm-router-server-'))
})
after(() => rmSync(folder, { recursive: true }))

interface Server {
  child: ChildProcess
  stdout: () => string
  /** The text up to and including the first match. */
  seen(stream: 'stdout' | 'stderr', pattern: RegExp): Promise<RegExpExecArray>
  exit: Promise<number | null>
}

function start(env: Record<string, string>): Server {
  const child = spawn(process.execPath, ['src/server.ts'], {
    cwd: root,
    env: childEnv({ LLM_ROUTER_SERVER_PORT: '0', LLM_ROUTER_LOG_FILENAME: '', ...env }),
  })
  const text = { stdout: '', stderr: '' }
  const exit = once(child, 'close').then(([code]) => code as number | null)
  for (const name of ['stdout', 'stderr'] as const) {
    child[name].on('data', (chunk) => {
      text[name] += chunk
    })
  }
  return {
    child,
    stdout: () => text.stdout,
    exit,
    async seen(name, pattern) {
      for (;;) {
        const match = pattern.exec(text[name])
        if (match) return match
        const code = await Promise.race([once(child[name], 'data').then(() => undefined), exit])
        if (code !== undefined && !pattern.test(text[name])) {
          throw new Error(`ended with ${code} before ${pattern}: ${text.stdout}${text.stderr}`)
        }
      }
    },
  }
}

async function stop(server: Server): Promise<number | null> {
  server.child.kill('SIGTERM')
  return await server.exit
}

test('a router without configuration', async (t) => {
  const server = start({})
  const [, port = ''] = await server.seen('stderr', /listens on http:\/\/127\.0\.0\.1:(\d+)/)

  await t.test('prints a curl command that works unchanged', async () => {
    const [line] = await server.seen('stderr', /curl .*\n/)
    const { stdout } = await run('sh', ['-c', line.replace('curl', 'curl -sS')])
    const answer = JSON.parse(stdout)
    assert.equal(answer.model, 'demo')
    assert.match(answer.choices[0].message.content, /Hello/)
  })

  await t.test('makes a second router on its port end with one clear line and exit code 1', async () => {
    const second = start({ LLM_ROUTER_SERVER_PORT: port })
    await second.seen('stderr', /cannot start: port \d+ is already in use \(EADDRINUSE\); .*--port/)
    assert.equal(await second.exit, 1)
  })

  await t.test('ends with exit code 0', async () => {
    assert.equal(await stop(server), 0)
  })
})

test('what an extension does not catch', async (t) => {
  const extension = join(folder, 'uncaught.mjs')
  writeFileSync(
    extension,
    `export default async (app) => {
  const config = { surface: 'any' }
  const begun = Promise.withResolvers()
  app.get('/slow', { config }, () => new Promise((resolve) => begun.resolve(resolve)))
  app.get('/forgotten', { config }, async () => { Promise.reject(new Error('secret')); return 'sent' })
  app.get('/timer', { config }, async () => {
    const finish = await begun.promise
    setImmediate(() => { setImmediate(() => finish('complete')); throw new Error('secret') })
    return 'sent'
  })
}
`,
  )
  const server = start({ LLM_ROUTER_EXTENSIONS: extension, LLM_ROUTER_LOG_FORMAT: 'json' })
  const [, port] = await server.seen('stdout', /"port":(\d+).*"listening"/)
  const get = async (path: string): Promise<string> =>
    await (await fetch(`http://127.0.0.1:${port}${path}`)).text()

  await t.test('a rejected promise is logged with its location, and requests go on', async () => {
    assert.equal(await get('/forgotten'), 'sent')
    const [line] = await server.seen('stdout', /.*unhandled promise rejection.*/)
    assert.match(JSON.parse(line).error_at, /uncaught\.mjs:5$/)
    assert.equal(await get('/forgotten'), 'sent')
  })

  await t.test('an exception ends the process after the running responses, with exit code 1', async () => {
    const slow = get('/slow')
    await get('/timer')
    assert.equal(await slow, 'complete')
    assert.equal(await server.exit, 1)
    const [line] = await server.seen('stdout', /.*uncaught exception.*/)
    const { level, error_at: at } = JSON.parse(line)
    assert.equal(level, 'fatal')
    assert.match(at, /uncaught\.mjs:8$/)
    assert.doesNotMatch(server.stdout(), /secret/)
  })
})

test('all invalid variables are reported together, with the allowed values, and the exit code is 2', async () => {
  const server = start({
    LLM_ROUTER_SERVER_PORT: '80a',
    LLM_ROUTER_LOG_LEVEL: 'loud',
    LLM_ROUTER_SERVER_TYPE: 'iis',
  })
  await server.seen('stderr', /LLM_ROUTER_SERVER_TYPE.*single/)
  await server.seen('stderr', /LLM_ROUTER_SERVER_PORT.*80a/)
  await server.seen('stderr', /LLM_ROUTER_LOG_LEVEL.*loud/)
  assert.equal(await server.exit, 2)
})

test('an invalid models file, an unknown strategy or an unloadable extension stops the start', async (t) => {
  const file = join(folder, 'bad.json')
  writeFileSync(
    file,
    JSON.stringify({
      google_models: { g: { providers: [{ api_type: 'foo' }] } },
      active_models: { google_models: ['g', 'x'] },
    }),
  )
  const cases: [name: string, env: Record<string, string>, messages: RegExp[]][] = [
    [
      'every error of the models file is reported with its path',
      { LLM_ROUTER_MODELS_CONFIG: file },
      [
        /active_models\.google_models\[1\]: no such model "x"/,
        /"foo".*known: openai, vllm, llamacpp, lmstudio, ollama,/,
      ],
    ],
    [
      'an unknown strategy is reported',
      { LLM_ROUTER_BALANCE_STRATEGY: 'nope' },
      [/^LLM_ROUTER_BALANCE_STRATEGY: no strategy "nope"; known: balanced/],
    ],
    [
      'an extension that cannot be loaded is reported',
      { LLM_ROUTER_EXTENSIONS: './does-not-exist.ts' },
      [/^LLM_ROUTER_EXTENSIONS: ".\/does-not-exist.ts"/],
    ],
  ]
  for (const [name, env, messages] of cases)
    await t.test(name, () =>
      assert.rejects(startRouter({ env, models: modelsConfig({ m: [{ api_type: 'mock' }] }) }), (error) => {
        // The process ends with exit code 2 and these lines, as the test above shows.
        assert.ok(error instanceof ConfigError, String(error))
        for (const message of messages) assert.match(error.errors.join('\n'), message)
        return true
      }),
    )
})

test('a router that logs JSON to stdout and to a file', async (t) => {
  const models = join(folder, 'slow.json')
  const mock = { reply: 'one two three four', tokens_per_second: 10 }
  writeFileSync(models, JSON.stringify(modelsConfig({ demo: [{ api_type: 'mock', mock }] })))
  const logs = join(folder, 'logs')
  mkdirSync(logs)
  const file = join(logs, 'router.log')
  const server = start({
    LLM_ROUTER_LOG_FILENAME: file,
    LLM_ROUTER_LOG_FORMAT: 'json',
    LLM_ROUTER_USE_PROMETHEUS: '1',
    LLM_ROUTER_MODELS_CONFIG: models,
    LLM_ROUTER_CONFIG_POLL: '0',
  })
  const [, port] = await server.seen('stdout', /"port":(\d+).*\n/)
  const get = async (path: string) => (await fetch(`http://127.0.0.1:${port}${path}`)).text()

  await t.test('writes JSON lines to stdout if it is not a terminal', () => {
    const lines = server
      .stdout()
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line))
    for (const { level } of lines) assert.equal(typeof level, 'string')
    assert.deepEqual(
      lines.map(({ msg }) => msg).filter((msg) => /listen/i.test(msg)),
      ['listening'],
    )
  })

  await t.test('writes JSON lines to the file, and reopens it on SIGUSR2', async () => {
    const ping = async (id: string): Promise<void> => {
      await fetch(`http://127.0.0.1:${port}/ping`, { headers: { 'x-request-id': id } })
      await server.seen('stdout', new RegExp(`"request_id":"${id}"`))
    }
    await ping('before')
    renameSync(file, `${file}.1`)
    server.child.kill('SIGUSR2')
    // The signal is handled before the next request is read.
    while (!existsSync(file)) await ping('meanwhile')
    await ping('after')
    const written = (name: string, id: string) => readFileSync(name, 'utf8').includes(`"request_id":"${id}"`)
    assert.ok(written(`${file}.1`, 'before'))
    while (!written(file, 'after')) await ping('later')
    for (const line of readFileSync(file, 'utf8').trimEnd().split('\n')) JSON.parse(line)
  })

  await t.test('reports a log file that cannot be reopened, and its recovery', async () => {
    assert.match(await get('/metrics'), /^llm_router_log_file_failed 0$/m)
    renameSync(logs, `${logs}.old`)
    server.child.kill('SIGUSR2')
    await server.seen('stdout', /cannot open .*router\.log again \(ENOENT\)/)
    assert.match(await get('/healthz'), /the log file cannot be opened \(ENOENT\)/)
    assert.match(await get('/metrics'), /^llm_router_log_file_failed 1$/m)
    mkdirSync(logs)
    server.child.kill('SIGUSR2')
    await server.seen('stdout', /router\.log is written again/)
    assert.doesNotMatch(await get('/healthz'), /log file/)
  })

  await t.test('logs SIGUSR1, and opens no debugger', async () => {
    server.child.kill('SIGUSR1')
    await server.seen('stdout', /SIGUSR1 has no effect; SIGUSR2 reopens the log file/)
  })

  await t.test('reloads its files immediately on SIGHUP, even if they have not changed', async () => {
    server.child.kill('SIGHUP')
    const [line] = await server.seen('stdout', /^.*"models-config\.json reloaded".*$/m)
    const { added, removed } = JSON.parse(line)
    assert.deepEqual([added, removed], [[], []])
  })

  await t.test('completes a running stream after SIGTERM, and then exits', async () => {
    const response = await fetch(`http://127.0.0.1:${port}/v1/chat/completions`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ model: 'demo', stream: true, messages }),
    })
    server.child.kill('SIGTERM')
    assert.match(await response.text(), /four[\s\S]*\[DONE\]/)
    assert.equal(await server.exit, 0)
  })

  await assert.rejects(server.seen('stderr', /Debugger/))
  assert.match(readFileSync(file, 'utf8'), /"endpoint":"\/healthz"/)
})

test('a signal for another purpose does not end a router that is starting', async (t) => {
  for (const args of [['src/server.ts'], ['src/cli.ts']])
    for (const signal of ['SIGHUP', 'SIGUSR1', 'SIGUSR2']) {
      // Sends the signal before serve.ts has run.
      const code = `import { registerHooks } from 'node:module'
        registerHooks({ load(url, context, load) {
          if (url.endsWith('/serve.ts')) process.kill(process.pid, '${signal}')
          return load(url, context)
        } })`
      const models = modelsConfig({})
      const router = await startRouterProcess({
        models,
        args: ['--import', `data:text/javascript,${encodeURIComponent(code)}`, ...args],
      })
      t.after(() => router.stop())
      router.child.kill('SIGTERM')
      assert.equal(await router.exit, 0, signal)
    }
})

test('a log file that cannot be opened is a warning, and the log continues on stdout', async (t) => {
  const dangling = join(folder, 'dangling.log')
  symlinkSync(join(folder, 'missing', 'router.log'), dangling)
  const cases: [name: string, path: string, code: string][] = [
    ['a dangling symlink', dangling, 'ENOENT'],
    ['a missing folder', join(folder, 'none', 'router.log'), 'ENOENT'],
    ['a folder instead of a file', folder, 'EISDIR'],
  ]
  const script = `
import { loadConfig } from './src/config/settings/settings.ts'
import { createLogging } from './src/runtime/logger.ts'
for (const path of process.argv.slice(1)) {
  const { config } = loadConfig({ LLM_ROUTER_LOG_FILENAME: path, LLM_ROUTER_LOG_FORMAT: 'json' })
  const logging = await createLogging(config, { isTerminal: false, reportsFileErrors: true })
  logging.logger.info({ path, error: logging.error() }, 'later')
  await logging.flush()
}`
  const { stdout } = await run(
    process.execPath,
    ['--input-type=module', '-e', script, ...cases.map(([, path]) => path)],
    { cwd: root, env: childEnv() },
  )
  const lines = stdout
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line))
  for (const [name, path, code] of cases)
    await t.test(name, () => {
      const warnings = lines.filter(({ msg }) => msg.includes(`cannot write ${path} (${code})`))
      assert.deepEqual(
        warnings.map(({ level }) => level),
        ['warn'],
      )
      const [later] = lines.filter((line) => line.path === path)
      assert.deepEqual([later.msg, later.error], ['later', `the log file cannot be opened (${code})`])
    })

  await t.test(
    'a missing write permission is reported once and in /healthz, while the router serves until its exit with code 0',
    async () => {
      const path = join(folder, 'own.log')
      // https://nodejs.org/api/permissions.html: no --allow-fs-write. The same as for an unprivileged user, also as root.
      const server = start({
        LLM_ROUTER_LOG_FILENAME: path,
        LLM_ROUTER_LOG_FORMAT: 'pretty',
        NODE_OPTIONS: '--permission --allow-fs-read=*',
      })
      const [, port] = await server.seen('stderr', /listens on http:\/\/127\.0\.0\.1:(\d+)/)
      await server.seen('stdout', new RegExp(`LLM_ROUTER_LOG_FILENAME: cannot write ${path} \\(E`))
      await fetch(`http://127.0.0.1:${port}/v1/models`)
      await server.seen('stdout', /^\d\d:\d\d:\d\d GET \/v1\/models 200 \d+ ms\n/m)
      const health = await fetch(`http://127.0.0.1:${port}/healthz`)
      assert.match(await health.text(), /the log file cannot be opened \(E/)
      assert.equal(await stop(server), 0)
      assert.equal(server.stdout().split('cannot write').length, 2, 'once')
    },
  )
})
