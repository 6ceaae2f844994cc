import assert from 'node:assert/strict'
import { join } from 'node:path'
import { test } from 'node:test'
import { closedPort } from '../helpers/http.ts'
import { modelsConfig } from '../helpers/models-config.ts'
import { startRouter } from '../helpers/router.ts'
import { startUpstream } from '../helpers/scripted-upstream.ts'
import { runCli, runCliProcess, temporaryFolder, writtenTo } from './run-cli.ts'

const folder = temporaryFolder()
const file = (name: string, text: string): string => writtenTo(folder(), name, text)

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
  const missing = await runCli(['check', join(folder(), 'missing.json')])
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
    `${silent}: no models from gpu: no answer, or no model there\n${silent}: 0 models, 0 servers, no errors, 0 warnings\n`,
  )
  assert.equal(checked.code, 0)
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
