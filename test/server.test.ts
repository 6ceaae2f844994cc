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
import { childEnv, root } from './helpers/child-env.ts'

const run = promisify(execFile)
let folder: string

before(() => {
  folder = mkdtempSync(join(tmpdir(), 'llm-router-server-'))
})
after(() => rmSync(folder, { recursive: true }))

interface Server {
  child: ChildProcess
  stdout: () => string
  /** The text up to and with the first match. */
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

test('with no configuration it starts and prints a curl line that works as it stands', async () => {
  const server = start({})
  const [line] = await server.seen('stderr', /curl .*\n/)
  const { stdout } = await run('sh', ['-c', line.replace('curl', 'curl -sS')])
  const answer = JSON.parse(stdout)
  assert.equal(answer.model, 'demo')
  assert.match(answer.choices[0].message.content, /Hello/)
  assert.equal(await stop(server), 0)
})

test('every bad variable is named at once, with what is allowed, and the exit code is 2', async () => {
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

test('every fault of the models file is told with its place, and the exit code is 2', async () => {
  const file = join(folder, 'bad.json')
  writeFileSync(
    file,
    JSON.stringify({
      google_models: { g: { providers: [{ api_type: 'foo' }] } },
      active_models: { google_models: ['g', 'x'] },
    }),
  )
  const server = start({ LLM_ROUTER_MODELS_CONFIG: file })
  await server.seen('stderr', /active_models\.google_models\[1\]: no such model "x"/)
  await server.seen('stderr', /"foo".*known: openai, vllm, llamacpp, lmstudio, ollama,/)
  assert.equal(await server.exit, 2)
})

test('an unknown strategy and an extension that cannot be loaded stop the start too', async () => {
  const strategy = start({ LLM_ROUTER_BALANCE_STRATEGY: 'nope' })
  await strategy.seen('stderr', /LLM_ROUTER_BALANCE_STRATEGY: no strategy "nope"; known: balanced/)
  assert.equal(await strategy.exit, 2)
  const extension = start({ LLM_ROUTER_EXTENSIONS: './does-not-exist.ts' })
  await extension.seen('stderr', /LLM_ROUTER_EXTENSIONS: ".\/does-not-exist.ts"/)
  assert.equal(await extension.exit, 2)
})

test('a port in use is one clear line and exit code 1', async () => {
  const first = start({})
  const [, port] = await first.seen('stderr', /listens on http:\/\/127\.0\.0\.1:(\d+)/)
  const second = start({ LLM_ROUTER_SERVER_PORT: port ?? '' })
  await second.seen('stderr', /cannot start: .*EADDRINUSE/)
  assert.equal(await second.exit, 1)
  await stop(first)
})

test('stdout is JSON lines where it is no terminal, and pretty on demand', async () => {
  const json = start({ LLM_ROUTER_LOG_FORMAT: 'json' })
  await json.seen('stdout', /"listening"\}\n/)
  await stop(json)
  const lines = json
    .stdout()
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line))
  for (const { level } of lines) assert.equal(typeof level, 'string')
  assert.deepEqual(
    lines.map(({ msg }) => msg).filter((msg) => /listen/i.test(msg)),
    ['listening'],
  )
  const pretty = start({ LLM_ROUTER_LOG_FORMAT: 'pretty' })
  const [, port] = await pretty.seen('stderr', /listens on http:\/\/127\.0\.0\.1:(\d+)/)
  await fetch(`http://127.0.0.1:${port}/v1/models`)
  await pretty.seen('stdout', /^\d\d:\d\d:\d\d GET \/v1\/models 200 \d+ ms\n/m)
  await stop(pretty)
})

test('the log file gets JSON lines and is opened anew on SIGUSR2', async () => {
  const file = join(folder, 'router.log')
  const server = start({ LLM_ROUTER_LOG_FILENAME: file, LLM_ROUTER_LOG_FORMAT: 'json' })
  const [, port] = await server.seen('stdout', /"port":(\d+)/)
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
  assert.equal(await stop(server), 0)
  const ids = (name: string) =>
    readFileSync(name, 'utf8')
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line).request_id)
  assert.ok(ids(`${file}.1`).includes('before'))
  assert.ok(ids(file).includes('after'))
})

test('a log file that cannot be written is one warning, and the router runs', async () => {
  const server = start({ LLM_ROUTER_LOG_FILENAME: '/proc/nowhere/x.log' })
  await server.seen('stdout', /LLM_ROUTER_LOG_FILENAME: cannot write/)
  await server.seen('stderr', /listens on/)
  assert.equal(await stop(server), 0)
})

test('a log file that cannot be opened is a warning, and the router goes on with stdout', async () => {
  const dangling = join(folder, 'dangling.log')
  symlinkSync(join(folder, 'missing', 'router.log'), dangling)
  const cases: [name: string, path: string, env: Record<string, string>][] = [
    ['a link to nowhere', dangling, {}],
    ['a folder that is not there', join(folder, 'none', 'router.log'), {}],
    ['a folder in its place', folder, {}],
    // https://nodejs.org/api/permissions.html: no --allow-fs-write. Without a user who may do less than root, the same.
    ['no permission', join(folder, 'own.log'), { NODE_OPTIONS: '--permission --allow-fs-read=*' }],
  ]
  await Promise.all(
    cases.map(async ([name, path, env]) => {
      const server = start({ LLM_ROUTER_LOG_FILENAME: path, LLM_ROUTER_LOG_FORMAT: 'json', ...env })
      const [, port] = await server.seen('stdout', /"port":(\d+)/)
      assert.ok(server.stdout().includes(`cannot write ${path} (E`), `${name}: ${server.stdout()}`)
      await fetch(`http://127.0.0.1:${port}/ping`, { headers: { 'x-request-id': 'later' } })
      await server.seen('stdout', /"request_id":"later"/)
      const health = await fetch(`http://127.0.0.1:${port}/healthz`)
      assert.match(await health.text(), /the log file cannot be opened \(E/, name)
      assert.equal(await stop(server), 0, name)
    }),
  )
})

test('a full disk is told on stdout, in /healthz and by a metric, and costs no request', async () => {
  const server = start({
    LLM_ROUTER_LOG_FILENAME: '/dev/full',
    LLM_ROUTER_LOG_FORMAT: 'json',
    LLM_ROUTER_USE_PROMETHEUS: '1',
  })
  const [, port] = await server.seen('stdout', /"port":(\d+)/)
  await server.seen('stdout', /cannot write \/dev\/full \(ENOSPC\)/)
  const get = async (path: string) => (await fetch(`http://127.0.0.1:${port}${path}`)).text()
  assert.match(await get('/healthz'), /"degraded".*the log file cannot be written \(ENOSPC\)/)
  assert.match(await get('/metrics'), /^llm_router_log_file_failed 1$/m)
  assert.equal(server.stdout().split('ENOSPC').length, 2, 'once')
  assert.equal(await stop(server), 0)
})

test('a log file that cannot be opened again is told, and so is that it can', async () => {
  const moved = join(folder, 'logs')
  mkdirSync(moved)
  const server = start({
    LLM_ROUTER_LOG_FILENAME: join(moved, 'router.log'),
    LLM_ROUTER_LOG_FORMAT: 'json',
    LLM_ROUTER_USE_PROMETHEUS: '1',
  })
  const [, port] = await server.seen('stdout', /"port":(\d+)/)
  const get = async (path: string) => (await fetch(`http://127.0.0.1:${port}${path}`)).text()
  assert.match(await get('/metrics'), /^llm_router_log_file_failed 0$/m)
  renameSync(moved, `${moved}.old`)
  server.child.kill('SIGUSR2')
  await server.seen('stdout', /cannot open .*router\.log again \(ENOENT\)/)
  assert.match(await get('/healthz'), /the log file cannot be opened \(ENOENT\)/)
  assert.match(await get('/metrics'), /^llm_router_log_file_failed 1$/m)
  mkdirSync(moved)
  server.child.kill('SIGUSR2')
  await server.seen('stdout', /router\.log is written again/)
  assert.doesNotMatch(await get('/healthz'), /log file/)
  assert.equal(await stop(server), 0)
  assert.match(readFileSync(join(moved, 'router.log'), 'utf8'), /"endpoint":"\/healthz"/)
})

test('SIGUSR1 is noted in the log, and opens no debugger', async () => {
  const server = start({ LLM_ROUTER_LOG_FORMAT: 'json' })
  await server.seen('stdout', /"port":(\d+)/)
  server.child.kill('SIGUSR1')
  await server.seen('stdout', /SIGUSR1 has no effect; SIGUSR2 reopens the log file/)
  assert.equal(await stop(server), 0)
  await assert.rejects(server.seen('stderr', /Debugger/))
})

test('SIGTERM lets a running stream end, and then the process', async () => {
  const file = join(folder, 'slow.json')
  writeFileSync(
    file,
    JSON.stringify({
      m: {
        demo: {
          providers: [{ api_type: 'mock', mock: { reply: 'one two three four', tokens_per_second: 10 } }],
        },
      },
      active_models: { m: ['demo'] },
    }),
  )
  const server = start({ LLM_ROUTER_MODELS_CONFIG: file })
  const [, port] = await server.seen('stderr', /listens on http:\/\/127\.0\.0\.1:(\d+)/)
  const response = await fetch(`http://127.0.0.1:${port}/v1/chat/completions`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ model: 'demo', stream: true, messages: [{ role: 'user', content: 'x' }] }),
  })
  server.child.kill('SIGTERM')
  assert.match(await response.text(), /four[\s\S]*\[DONE\]/)
  assert.equal(await server.exit, 0)
})

test('in cluster type the workers share one port and end with the primary', async () => {
  const server = start({ LLM_ROUTER_SERVER_TYPE: 'cluster', LLM_ROUTER_SERVER_WORKERS_COUNT: '2' })
  const [, port] = await server.seen('stderr', /listens on http:\/\/127\.0\.0\.1:(\d+)/)
  await server.seen('stdout', /"listening"[\s\S]*"listening"/)
  const answers = await Promise.all(Array.from({ length: 8 }, () => fetch(`http://127.0.0.1:${port}/ping`)))
  assert.ok(answers.every(({ status }) => status === 200))
  assert.equal(await stop(server), 0)
})
