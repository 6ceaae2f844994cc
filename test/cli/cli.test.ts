import assert from 'node:assert/strict'
import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import manifest from '../../package.json' with { type: 'json' }
import { childEnv, root } from '../helpers/child-env.ts'
import { closedPort } from '../helpers/http.ts'
import { modelsConfig } from '../helpers/models-config.ts'
import { startRouter } from '../helpers/router.ts'
import { change, changingRoutes, printedKey } from './changing-routes.ts'
import { runCli, runCliProcess, temporaryFolder, writtenTo } from './run-cli.ts'

const folder = temporaryFolder()
const file = (name: string, text: string): string => writtenTo(folder(), name, text)

test('models lists the models that would be served, without addresses', async () => {
  const path = file(
    'models.json',
    JSON.stringify(
      modelsConfig({
        llama: [
          { api_type: 'vllm', api_host: 'http://10.1.2.3:8000', input_size: 8192 },
          { api_type: 'vllm', api_host: 'http://10.1.2.4:8000' },
          { api_type: 'ollama', api_host: 'http://10.1.2.5:11434' },
        ],
      }),
    ),
  )
  const { code, stdout } = await runCli(['models', '--config', path])
  assert.deepEqual(
    stdout
      .trimEnd()
      .split('\n')
      .map((line) => line.split(/ {2,}/)),
    [
      ['MODEL', 'SERVERS', 'STRATEGY', 'CONTEXT'],
      ['llama', '2 vllm, ollama', 'balanced', '8192'],
    ],
  )
  assert.equal(code, 0)
})

test('models --profiles prints the profile of each target, including overrides in the file', async () => {
  const path = file(
    'profiles.json',
    JSON.stringify(
      modelsConfig({
        claude: [
          { id: 'a', api_type: 'anthropic', api_host: 'http://10.1.2.3', model_path: 'claude-opus-4-7' },
          { id: 'b', api_type: 'vllm', api_host: 'http://10.1.2.4', profile: { max_stops: 16 } },
        ],
      }),
    ),
  )
  const { code, stdout } = await runCli(['models', '--profiles', path])
  const lines = stdout.trimEnd().split('\n')
  assert.match(lines[0] ?? '', /^claude {2}a {2}anthropic {2}claude-opus-4-7 {2}\{.*"thinking":"adaptive"/)
  assert.match(
    lines[1] ?? '',
    /^claude {2}b {2}vllm {2}claude {2}\{"max_stops":16,"ranges":\{"temperature":\[0,2\],/,
  )
  assert.doesNotMatch(stdout, /10\.1\.2/)
  assert.equal(code, 0)
})

test('healthcheck checks the router in the settings, or the one in its argument', async (t) => {
  const router = await startRouter({ models: modelsConfig({ one: [{ api_type: 'mock' }] }) })
  t.after(() => router.close())
  const { port } = new URL(router.url)
  const good = await runCli(['healthcheck'], { LLM_ROUTER_SERVER_PORT: port })
  assert.deepEqual([good.code, good.stdout], [0, 'ok\n'])
  const gone = await runCli(['healthcheck', await closedPort()])
  assert.deepEqual([gone.code, gone.stdout], [1, ''])
  assert.match(gone.stderr, /does not answer/)
})

test('schema and version print the JSON Schema and the version', async () => {
  const { stdout } = await runCliProcess(['schema'])
  assert.equal(stdout, readFileSync(join(root, 'resources/models-config.schema.json'), 'utf8'))
  for (const args of [['version'], ['--version'], ['-V']]) {
    assert.match(
      (await runCli(args)).stdout,
      new RegExp(`^llm-router ${manifest.version.replaceAll('.', '\\.')}, Node`),
    )
  }
})

test('a slow reader gets the whole output; a closed pipe is not an error, but a full disk is', async () => {
  const cli = join(root, 'src/cli.ts')
  const shell = (line: string) =>
    spawnSync('bash', ['-c', line, process.execPath, cli], {
      env: childEnv({}),
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'pipe'],
    })
  // After the first line it reads nothing for the duration of another whole command.
  const slow = shell('set -e; "$0" "$1" schema | { read -r; echo "$REPLY"; "$0" "$1" version >&2; cat; }')
  assert.equal(slow.stdout, readFileSync(join(root, 'resources/models-config.schema.json'), 'utf8'))
  const head = shell('set -o pipefail; "$0" "$1" schema | head -n 1')
  assert.deepEqual([head.stdout, head.stderr, head.status], ['{\n', '', 0])
  const full = shell('"$0" "$1" schema > /dev/full')
  assert.match(full.stderr, /: cannot write the output: ENOSPC$/m)
  assert.equal(full.status, 1)
})

test('help names every command; a mistyped command or option gets a hint and exit code 2', async () => {
  const { stdout, code } = await runCli(['--help'])
  for (const name of ['serve', 'check', 'discover', 'init', 'models', 'healthcheck', 'schema', 'version'])
    assert.match(stdout, new RegExp(`^ {2}${name} `, 'm'))
  assert.equal(code, 0)
  const [command, option, value] = await Promise.all([
    runCli(['chekc']),
    runCliProcess(['--prot', '1']),
    runCli(['--port']),
  ])
  assert.match(command.stderr, /unknown command chekc; did you mean "check"\?/)
  assert.match(option.stderr, /unknown option --prot; did you mean "--port"\?/)
  assert.match(value.stderr, /--port/)
  assert.deepEqual([command.code, option.code, value.code], [2, 2, 2])
})

test('a field of a key that is invalid is reported in one line', async () => {
  const env = { LLM_ROUTER_DATABASE_URL: `sqlite:${join(folder(), 'keys.db')}` }
  assert.equal((await runCli(['clients', 'create', 'alice'], env)).code, 0)
  const time = await runCli(['keys', 'create', 'alice', 'expires_at=tomorrow'], env)
  assert.equal(time.stderr, `'expires_at' is not a time like "2027-01-31T00:00:00Z", or null\n`)
  const key = JSON.parse((await runCli(['keys', 'create', 'alice'], env)).stdout)
  const overlap = await runCli(['keys', 'rotate', key.id, 'overlap_seconds=long'], env)
  assert.equal(overlap.stderr, "'overlap_seconds' is not a number of seconds from 0 to 31536000\n")
  const budget = await runCli(['budgets', 'create', 'b'], env)
  assert.match(budget.stderr, /^'unit' is missing; it must be one of: tokens, /)
  const misspelled = await runCli(['clients', 'change', 'alice', 'gruop=x'], env)
  assert.match(misspelled.stderr, /^no such field gruop; known: group, .*; did you mean "group"\?$/m)
  assert.deepEqual([time.code, overlap.code, misspelled.code], [2, 2, 2])
})

test('an address or a host that is none is reported as such', async () => {
  const [targets, health, index, found] = await Promise.all([
    runCli(['targets', '--url', 'localhost:8080']),
    runCli(['healthcheck', 'gpu']),
    runCli(['index', folder(), '--name', 'n', '--model', 'm', '--url', 'gpu']),
    runCli(['discover', 'two words', '10.0.0.0/8', 'gpu:8000/v1']),
  ])
  assert.equal(targets.stderr, '--url: localhost:8080 is not an http:// or https:// address\n')
  assert.equal(health.stderr, 'gpu is not an http:// or https:// address\n')
  assert.equal(index.stderr, '--url: gpu is not an http:// or https:// address\n')
  const lines = found.stderr.match(/^.*: not a hostname, an address, or an http:\/\/ or https:\/\/ URL/gm)
  assert.deepEqual(
    lines?.map((line) => line.split(': not')[0]),
    ['two words', '10.0.0.0/8', 'gpu:8000/v1'],
  )
  assert.deepEqual([targets.code, health.code, index.code, found.code], [2, 2, 2, 2])
})

test('an argument that a command does not take is rejected, and a file without its option is recognized', async () => {
  const [serve, alone, check] = await Promise.all([
    runCli(['serve', 'models.json']),
    runCli(['models.yaml']),
    runCli(['check', 'a.json', 'b.json']),
  ])
  assert.match(
    serve.stderr,
    /unexpected argument models\.json of serve; did you mean "--config models\.json"\?/,
  )
  assert.match(alone.stderr, /unknown command models\.yaml; did you mean "--config models\.yaml"\?/)
  assert.match(check.stderr, /unexpected argument b\.json of check\n/)
  assert.deepEqual([serve.code, alone.code, check.code], [2, 2, 2])
})

test('every command has its own help, and messages name the program as it was started', async () => {
  const [check, init, help, version, port, unknown] = await Promise.all([
    runCli(['check', '--help']),
    runCli(['init', '-h']),
    runCli(['help', 'targets']),
    runCli(['-v']),
    runCli(['check', '--port', 'abc']),
    runCliProcess(['chekc'], { LLM_ROUTER_COMMAND: './run-rest-api.sh' }),
  ])
  assert.match(check.stdout, /^Usage: llm-router check \[file\]\n/)
  assert.match(init.stdout, /^Usage: llm-router init/)
  assert.match(help.stdout, /targets drain ID/)
  assert.match(version.stdout, /^llm-router \d+\.\d+\.\d+/)
  assert.match(port.stderr, /^--port: "abc" is not an integer/)
  assert.match(unknown.stderr, /see '\.\/run-rest-api\.sh --help'/)
  assert.deepEqual(
    [check.code, init.code, help.code, version.code, port.code, unknown.code],
    [0, 0, 0, 0, 2, 2],
  )
})

test('paths are relative to the working directory of the script, and the command that init suggests can be run', async (t) => {
  const work = mkdtempSync(join(tmpdir(), 'llm-router-cwd-'))
  t.after(() => rmSync(work, { recursive: true }))
  const run = (command: string) =>
    spawnSync('bash', ['-c', command], { cwd: work, env: childEnv({}), encoding: 'utf8' })
  const { stderr } = run(`${join(root, 'run-rest-api.sh')} init models.json 127.0.0.1:1`)
  assert.ok(existsSync(join(work, 'models.json')), stderr)
  const [, suggested = ''] = /^start with: (.*)$/m.exec(stderr) ?? []
  const { stdout } = run(`${suggested} models`)
  assert.match(stdout, /^demo /m)
})

test('docs/cli.md has every command and option, and no other', async () => {
  const { stdout } = await runCli(['--help'])
  const page = readFileSync(join(root, 'docs/cli.md'), 'utf8')
  const inHelp = [...stdout.matchAll(/^ {2}([a-z]+)(?=[ ,])| --(config|port|host|log-\w+)/gm)].map(
    ([, command, option]) => command ?? option,
  )
  const inPage = [...page.matchAll(/^\| `([a-z]+)|^\| .*`--([a-z-]+)/gm)].map(
    ([, command, option]) => command ?? option,
  )
  assert.deepEqual(inPage, inHelp)
})

test('the router serves with options from any directory, and prints its operator key once, outside the log', async (t) => {
  const logFile = join(folder(), 'router.log')
  const child = spawn(
    process.execPath,
    [join(root, 'src/cli.ts'), '--port', '0', '--log-format=pretty', '--host', '127.0.0.1'],
    {
      cwd: folder(),
      env: childEnv({
        LLM_ROUTER_LOG_FILENAME: logFile,
        LLM_ROUTER_LOG_LEVEL: 'trace',
        LLM_ROUTER_EXTENSIONS: changingRoutes,
      }),
    },
  )
  // In case an assertion fails before the end.
  t.after(() => child.kill('SIGKILL'))
  const ended = once(child, 'close')
  const text = { stdout: '', stderr: '' }
  for (const name of ['stdout', 'stderr'] as const)
    child[name].on('data', (chunk) => {
      text[name] += chunk
    })
  let listening: RegExpExecArray | null = null
  while (!listening) {
    const code = await Promise.race([once(child.stderr, 'data').then(() => undefined), ended])
    assert.equal(code, undefined, text.stderr)
    listening = /listens on (http:\S+)/.exec(text.stderr)
  }
  const [, url = ''] = listening
  const answer = await fetch(`${url}/v1/models`)
  assert.match(await answer.text(), /"demo"/)
  const key = printedKey(text.stdout + text.stderr)
  assert.equal(await change(url, key), 200)
  assert.equal(await change(url, `${key}x`), 401)
  child.kill('SIGTERM')
  assert.deepEqual(await ended, [0, null])
  assert.match(text.stdout, /\/change\/undeclared 200/)
  assert.ok(!text.stdout.includes(key))
  assert.match(readFileSync(logFile, 'utf8'), /\/change\/undeclared/)
  assert.ok(!readFileSync(logFile, 'utf8').includes(key))
})

test('the start script passes its arguments on', async () => {
  const child = spawn(join(root, 'run-rest-api.sh'), ['version'], { cwd: folder() })
  let text = ''
  child.stdout.on('data', (chunk) => {
    text += chunk
  })
  const [code] = await once(child, 'close')
  assert.match(text, /^llm-router /)
  assert.equal(code, 0)
})
