import assert from 'node:assert/strict'
import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import manifest from '../../package.json' with { type: 'json' }
import { childEnv, root } from '../helpers/child-env.ts'
import { closedPort } from '../helpers/http.ts'
import { modelsConfig } from '../helpers/models-config.ts'
import { startRouter } from '../helpers/router.ts'
import { startUpstream } from '../helpers/scripted-upstream.ts'
import { change, changingRoutes, printedKey } from './changing-routes.ts'
import { runCli, runCliProcess } from './run-cli.ts'

let folder: string
before(() => {
  folder = mkdtempSync(join(tmpdir(), 'llm-router-cli-'))
})
after(() => rmSync(folder, { recursive: true }))

function file(name: string, text: string): string {
  const path = join(folder, name)
  writeFileSync(path, text)
  return path
}

const broken = `{
  "local_models": {
    "llama": {
      "strategy": "least_bussy",
      "providers": [
        { "api_type": "olama", "api_hots": "http://x:1" },
        { "api_type": "vllm", "api_token": "sk-very-secret" }
      ]
    },
    "twice": { "providers": [] },
    "twice": { "providers": [{ "api_type": "mock" }] }
  },
  "active_models": { "local_models": ["llama", "twise"] }
}
`

test('check reports every error with file, line and column, and suggests what was meant', async () => {
  const path = file('broken.json', broken)
  const { code, stdout } = await runCli(['check', path])
  const lines = stdout.trimEnd().split('\n')
  const expected = [
    /:4:19: error: .*"least_bussy".*did you mean "least_busy"\?$/,
    /:6:23: error: .*"olama" is unknown.*did you mean "ollama"\?$/,
    /:6:44: warning: .*api_hots: .*did you mean "api_host"\?$/,
    /:7:9: error: .*providers\[1\]\.api_host: missing/,
    /:10:14: warning: "twice" occurs more than once/,
    /:13:48: error: .*"twise"; did you mean "twice"\?$/,
    /4 errors, 2 warnings$/,
  ]
  for (const [index, pattern] of expected.entries()) assert.match(lines[index] ?? '', pattern)
  assert.equal(lines.length, expected.length, stdout)
  assert.ok(lines.every((line) => line.startsWith(`${path}:`)))
  assert.ok(!stdout.includes('very-secret'))
  assert.equal(code, 2)
})

const doubtful = `{
  "local_models": {
    "llama": { "providers": [{ "api_type": "mock", "id": "old" }] },
    "llama": {
      "providers": [
        { "api_type": "vllm", "api_host": "http://x:1", "weight": 5 },
        { "api_type": "vllm", "api_host": "http://x:2", "api_token": "os.environ/VLLM_KEY" },
        { "api_type": "vllm", "api_host": "http://x:3", "api_token": "$VLLM_KEY" }
      ]
    }
  },
  "more_models": { "llama": { "providers": [] } },
  "active_models": { "local_models": ["llama"] }
}
`

test('check and the start warn of weights over 1, foreign notations of variables and duplicate models', async () => {
  const path = file('doubtful.json', doubtful)
  const expected = [
    /:3:14: warning: "llama" occurs more than once; only the last one counts$/,
    /:6:\d+: warning: .*providers\[0\]\.weight: 5 is more than 1 and counts as 1/,
    /:7:70: warning: .*providers\[1\]\.api_token: looks like a reference to an environment variable/,
    /:8:70: warning: .*providers\[2\]\.api_token: looks like a reference to an environment variable/,
    /:12:29: warning: more_models\["llama"\]: not served/,
    /1 model, 3 servers, no errors, 5 warnings$/,
  ]
  const { code, stdout } = await runCli(['check', path])
  const lines = stdout.trimEnd().split('\n')
  for (const [index, pattern] of expected.entries()) assert.match(lines[index] ?? '', pattern)
  assert.equal(lines.length, expected.length, stdout)
  assert.equal(code, 0)
  const router = await startRouter({ env: { LLM_ROUTER_MODELS_CONFIG: path }, models: {} })
  await router.close()
  const warned = router.logs.filter(({ level }) => level === 40).map(({ msg }) => String(msg))
  for (const words of ['occurs more than once', 'more than 1', 'providers[1].api_token', 'not served'])
    assert.ok(
      warned.some((line) => line.includes(words)),
      words,
    )
  assert.ok(!JSON.stringify(router.logs).includes('VLLM_KEY'))
})

test('check warns of llama.cpp servers that are configured as another type', async (t) => {
  const server = await startUpstream({ kind: 'reply', body: { data: [{ id: 'x', owned_by: 'llamacpp' }] } })
  t.after(() => server.close())
  const provider = (api_type: string) => ({ api_type, api_host: server.url })
  const config = modelsConfig({ m: [provider('llamacpp'), provider('vllm')] })
  const path = file('disguised.json', JSON.stringify(config))
  const { code, stdout } = await runCli(['check', path])
  assert.equal(code, 0)
  assert.match(
    stdout,
    /warning: test_models\["m"\]\.providers\[1\]\.api_type: the server reports itself as llama\.cpp/,
  )
  assert.match(stdout, /1 model, 2 servers, no errors, 1 warning/)
})

test('check accepts comments and trailing commas, and counts their lines', async () => {
  const config =
    '// ours\n{\n  "g": { "m": { "providers": [{ "api_type": "mock" }, ], "stategy": "x" } },\n  "active_models": { "g": ["m"] }, /* all */\n}\n'
  const path = file('commented.json', config)
  const { code, stdout } = await runCli(['check', path])
  assert.equal(code, 0)
  assert.match(stdout, /:3:69: warning: .*stategy: no such field/)
})

test('check reports the position at which a file stops being JSON', async () => {
  const path = file('comma.json', '{\n  "a": {},\n,}\n')
  const { code, stdout } = await runCli(['check', path])
  assert.equal(
    stdout,
    `${path}:3:1: error: not valid JSON from here on: expected a name in double quotes\n${path}: 1 error, 0 warnings\n`,
  )
  assert.equal(code, 2)
})

test('check confirms a valid file', async () => {
  const path = file(
    'good.json',
    JSON.stringify(modelsConfig({ one: [{ api_type: 'mock' }], two: [{ api_type: 'mock' }] })),
  )
  const { code, stdout } = await runCli(['check', path])
  assert.equal(stdout, `${path}: 2 models, 2 servers, no errors, 0 warnings\n`)
  assert.equal(code, 0)
})

test('check reports errors in settings too', async () => {
  const missing = await runCli(['check', join(folder, 'missing.json')])
  assert.match(missing.stdout, /^error: cannot read .*missing\.json: no such file \(ENOENT\)\n/)
  assert.equal(missing.code, 2)
  const strategy = await runCli(['check'], { LLM_ROUTER_BALANCE_STRATEGY: 'balancd' })
  assert.match(strategy.stdout, /error: LLM_ROUTER_BALANCE_STRATEGY: .*did you mean "balanced"\?/)
  const port = await runCli(['check'], { LLM_ROUTER_SERVER_PORT: 'http' })
  assert.match(port.stderr, /LLM_ROUTER_SERVER_PORT/)
  assert.deepEqual([strategy.code, port.code], [2, 2])
})

test('check names the client key that a warning is about', async () => {
  const models = file('small.json', JSON.stringify(modelsConfig({ small: [{ api_type: 'mock' }] })))
  const keys = file(
    'keys.json',
    JSON.stringify([{ id: 'a', key: 'sk-0123456789abcdefghij', models: ['gpt-*'] }]),
  )
  const { code, stdout } = await runCli(['check', models], {
    LLM_ROUTER_AUTH_ENABLED: '1',
    LLM_ROUTER_AUTH_MEMORY_SEED_FILE: keys,
  })
  assert.match(stdout, /^warning: client key "a": this key may not use any model\n/)
  assert.equal(code, 0)
})

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

test('an invalid profile is reported with its position', async () => {
  const profile = { thinking: 'sometimes', max_stop: 3 }
  const path = file(
    'profile.json',
    JSON.stringify(modelsConfig({ m: [{ api_type: 'mock', profile }] }), null, 1),
  )
  const { code, stdout } = await runCli(['check', path])
  assert.match(stdout, /profile\.json:\d+:\d+: error: .*profile\.thinking: "sometimes" is not "adaptive"/)
  assert.equal(code, 2)
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

test('a YAML file is checked with line and column', async () => {
  const path = file(
    'models.yaml',
    'g:\n  m:\n    providers: [{api_type: llama.cpp, api_host: "http://h:1"}]\n    stratgy: x\nactive_models: {g: [m]}\n',
  )
  const { stdout, code } = await runCli(['check', path])
  assert.equal(
    stdout.split('\n')[0],
    `${path}:4:14: warning: g["m"].stratgy: no such field, it has no effect; did you mean "strategy"?`,
  )
  assert.equal(code, 0)
  const torn = file('torn.yml', 'g: [1\nb: 2\n')
  assert.match(
    (await runCli(['check', torn])).stdout,
    /torn\.yml:2:1: error: not valid YAML from here on: the indentation does not fit the lines above\n/,
  )
})

test('the start reports errors of the file like check: every one, with file, line and column', async () => {
  const path = file(
    'wrong.json',
    '{\n  "g": { "m": { "providers": [{ "api_type": "vlm", "api_host": "http://h" }, 5] } },\n  "active_models": { "g": ["m"] }\n}\n',
  )
  const started = await runCliProcess(['--config', path])
  assert.equal(started.code, 2)
  const checked = await runCli(['check', path])
  const lines = started.stderr.trim().split('\n')
  assert.match(
    started.stderr,
    /wrong\.json:2:45: g\["m"\]\.providers\[0\]\.api_type: "vlm" is unknown.*did you mean "vllm"\?/,
  )
  assert.equal(lines.length, 2)
  for (const line of lines)
    assert.ok(checked.stdout.includes(line.replace(/(:\d+:\d+: )/, '$1error: ')), checked.stdout)
  const torn = file('torn.json', '{ "g": [1 }')
  const reason = `${torn}:1:11: not valid JSON from here on: expected "," or the end of the object or list\n`
  assert.equal((await runCliProcess(['--config', torn])).stderr, reason)
})

test('check recognizes the names that other programs use for a field, and names a server without models', async () => {
  const path = file(
    'elsewhere.json',
    '{ "g": { "m": { "providers": [{ "api_type": "mock", "api_key": "sk-x", "colour": 1 }] } }, "active_models": { "g": ["m"] } }',
  )
  const { code, stdout } = await runCli(['check', path])
  assert.match(stdout, /\.api_key: no such field, it has no effect; did you mean "api_token"\?/)
  assert.match(stdout, /no errors, 1 warning\n$/)
  assert.equal(code, 0)
  const servers = [{ id: 'gpu', api_type: 'vllm', api_host: await closedPort(), models: '*' }]
  const silent = file('silent.json', JSON.stringify({ servers }))
  const checked = await runCli(['check', silent])
  assert.equal(
    checked.stdout,
    `${silent}: no models of gpu, which did not answer or has none\n${silent}: 0 models, 0 servers, no errors, 0 warnings\n`,
  )
  assert.equal(checked.code, 0)
})

test('a field of a key that is invalid is reported in one line', async () => {
  const env = { LLM_ROUTER_DATABASE_URL: `sqlite:${join(folder, 'keys.db')}` }
  assert.equal((await runCli(['clients', 'create', 'alice'], env)).code, 0)
  const time = await runCli(['keys', 'create', 'alice', 'expires_at=tomorrow'], env)
  assert.equal(time.stderr, `'expires_at' is not a time like "2027-01-31T00:00:00Z", or null\n`)
  const key = JSON.parse((await runCli(['keys', 'create', 'alice'], env)).stdout)
  const overlap = await runCli(['keys', 'rotate', key.id, 'overlap_seconds=long'], env)
  assert.equal(overlap.stderr, "'overlap_seconds' is not a number of seconds from 0 to 31536000\n")
  const budget = await runCli(['budgets', 'create', 'b'], env)
  assert.match(budget.stderr, /^'unit' is missing; it must be one of: tokens, /)
  const misspelled = await runCli(['clients', 'change', 'alice', 'gruop=x'], env)
  assert.match(misspelled.stderr, /^no such field gruop; did you mean "group"\?; known: group, /)
  assert.deepEqual([time.code, overlap.code, misspelled.code], [2, 2, 2])
})

test('an address or a host that is none is reported as such', async () => {
  const [targets, health, found] = await Promise.all([
    runCli(['targets', '--url', 'localhost:8080']),
    runCli(['healthcheck', 'gpu']),
    runCli(['discover', 'two words']),
  ])
  assert.equal(targets.stderr, '--url: localhost:8080 is not an http:// or https:// address\n')
  assert.equal(health.stderr, 'gpu is not an http:// or https:// address\n')
  assert.match(found.stderr, /^two words: not a hostname, an address, or an http:\/\/ or https:\/\/ URL/)
  assert.deepEqual([targets.code, health.code, found.code], [1, 2, 1])
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
  const logFile = join(folder, 'router.log')
  const child = spawn(
    process.execPath,
    [join(root, 'src/cli.ts'), '--port', '0', '--log-format=pretty', '--host', '127.0.0.1'],
    {
      cwd: folder,
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
  const child = spawn(join(root, 'run-rest-api.sh'), ['version'], { cwd: folder })
  let text = ''
  child.stdout.on('data', (chunk) => {
    text += chunk
  })
  const [code] = await once(child, 'close')
  assert.match(text, /^llm-router /)
  assert.equal(code, 0)
})

test('check warns of limits that do not hold: an engine without reports, or several routers without Redis', async () => {
  const path = file(
    'limits.json',
    `{
  "local_models": {
    "llama": {
      "providers": [
        { "api_type": "openai", "api_host": "http://127.0.0.1:1", "max_in_flight": "auto" },
        { "api_type": "ollama", "api_host": "http://127.0.0.1:1", "max_in_flight": 2 }
      ]
    }
  },
  "active_models": { "local_models": ["llama"] }
}
`,
  )
  const one = await runCli(['check', path])
  assert.match(one.stdout, /:5:\d+: warning: .*"auto" has no effect unless the server reports/)
  assert.doesNotMatch(one.stdout, /LLM_ROUTER_REPLICAS/)
  const several = { LLM_ROUTER_REPLICAS: '3' }
  const without = await runCli(['check', path], several)
  assert.match(without.stdout, /:6:\d+: warning: .*without Redis it applies to each of the 3 routers/)
  const shared = await runCli(['check', path], { ...several, LLM_ROUTER_REDIS_HOST: '127.0.0.1' })
  assert.doesNotMatch(shared.stdout, /each of the 3 routers/)
})
