/**
 * Simulates three new users, each with an empty home directory, and prints the time to each first success: npm run try
 * docs/quick-start.md quotes it. Uses the last commit of this checkout, and a package built from it or given with --archive.
 */
import { copyFileSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { basename, dirname, join, resolve } from 'node:path'
import { parseArgs } from 'node:util'
import { run } from './release/run.ts'
import { type ModelServer, startModelServer } from './try/model-server.ts'
import { User } from './try/user.ts'

const root = dirname(import.meta.dirname)
const say = (line: string): void => void process.stdout.write(`${line}\n`)
const { values } = parseArgs({ options: { archive: { type: 'string' } } })
const folder = mkdtempSync(join(tmpdir(), 'llm-router-try-'))
const archive = values.archive === undefined ? packed() : resolve(values.archive)
const name = basename(archive)
const chat = (model: string): string =>
  `127.0.0.1:8080/v1/chat/completions -H 'content-type: application/json' -d '{"model":"${model}","messages":[{"role":"user","content":"Hello"}]}'`

/** A program of a user of the Python router, as shown on the page. */
const page = readFileSync(join(root, 'docs/quick-start.md'), 'utf8')
const client = /^```python\n(.*?)^```/ms.exec(page)?.[1] ?? ''

try {
  await developer()
  await platformEngineer()
  await userOfThePythonRouter()
} catch (error) {
  process.stderr.write(`${error instanceof Error ? error.message : error}\n`)
  process.exitCode = 1
} finally {
  rmSync(folder, { recursive: true })
}

function packed(): string {
  return run('node', ['scripts/package.ts', folder], { cwd: root }).split('\n').at(-1) ?? ''
}

async function play(
  title: string,
  act: (user: User, servers: readonly ModelServer[]) => Promise<void>,
): Promise<void> {
  const servers = [await startModelServer('Hello from gpu1'), await startModelServer('Hello from gpu2')]
  const user = await User.arrives(title, say)
  try {
    await act(user, servers)
  } finally {
    await user.leaves()
    for (const server of servers) await server.stop()
  }
}

function developer(): Promise<void> {
  return play('Developer, with a clone', async (user, [server]) => {
    user.begins()
    await user.types(
      `git clone --quiet 'file://${root}' llm-router && ls`,
      /llm-router/,
      'git clone: has the sources',
    )
    await user.serves(
      'cd llm-router && ./run-rest-api.sh',
      './run-rest-api.sh: has installed what it needs, and listens',
    )
    await user.types(
      `curl -sS --fail ${chat('demo')}`,
      /"content":/,
      'curl: first answer, of the embedded mock',
    )
    await user.stops()
    const found = 'models-config.json'
    const discover = `cd llm-router && ./run-rest-api.sh discover ${server?.host} > ${found} && cat ${found}`
    await user.types(discover, /"vllm"/, './run-rest-api.sh discover: has found the model server')
    await user.serves(
      `cd llm-router && ./run-rest-api.sh --config ${found}`,
      './run-rest-api.sh --config: listens',
    )
    const model = 'meta-llama/Llama-3.1-8B'
    await user.types(
      `curl -sS --fail ${chat(model)}`,
      /Hello from gpu1/,
      'curl: first answer of the model server',
    )
  })
}

function platformEngineer(): Promise<void> {
  return play('Platform engineer, with the package', async (user, [one, two]) => {
    copyFileSync(archive, join(user.home, name))
    const providers = [one, two].map((server, index) => ({
      id: `gpu${index + 1}`,
      api_type: 'vllm',
      api_host: `http://${server?.host}`,
      model_path: 'meta-llama/Llama-3.1-8B',
    }))
    user.writes('models-config.json', config('llama', providers))
    user.writes('keys.json', JSON.stringify({ keys: [{ id: 'team-a', key: 'sk-a-long-secret-of-team-a' }] }))
    user.hasThisNode()
    user.begins()
    await user.types(
      `npm install --global --silent ./${name} && llm-router version`,
      /Node/,
      'npm install: has the command',
    )
    await user.types(
      'llm-router check models-config.json',
      /(?:)/,
      'llm-router check: the configuration is valid',
    )
    user.set('LLM_ROUTER_USE_PROMETHEUS', '1')
    user.set('LLM_ROUTER_AUTH_ENABLED', '1')
    user.set('LLM_ROUTER_AUTH_MEMORY_SEED_FILE', 'keys.json')
    await user.serves('llm-router --config models-config.json', 'llm-router --config: listens')
    await user.types('llm-router healthcheck', /ok/, 'llm-router healthcheck: ok')
    const asks = `curl -sS --fail -H 'authorization: Bearer sk-a-long-secret-of-team-a' ${chat('llama')}`
    await user.types(asks, /Hello from gpu/, 'curl: first answer to a client with a key')
    await one?.stop()
    await user.types(asks, /Hello from gpu2/, 'curl: first answer after a server has died')
  })
}

function userOfThePythonRouter(): Promise<void> {
  return play('User of the Python router, with its files', async (user, [server]) => {
    copyFileSync(archive, join(user.home, name))
    const provider = {
      id: 'gpu1',
      api_host: `http://${server?.host}`,
      api_token: '',
      api_type: 'vllm',
      input_size: 8192,
      model_path: 'meta-llama/Llama-3.1-8B',
      weight: 1.0,
    }
    user.writes('models-config.json', config('llama', [provider]))
    user.writes('client.py', client)
    user.set('LLM_ROUTER_MODELS_CONFIG', 'models-config.json')
    user.set('LLM_ROUTER_BALANCE_STRATEGY', 'balanced')
    user.set('LLM_ROUTER_SERVER_TYPE', 'waitress')
    user.hasThisNode()
    user.begins()
    const command = `npx -y -p ./${name} llm-router`
    await user.types(
      `${command} check models-config.json`,
      /(?:)/,
      'npx with llm-router check: its files are valid',
    )
    await user.serves(command, 'npx with llm-router: listens, with the same variables')
    await user.types(
      'python3 client.py 127.0.0.1:8080',
      /Hello from gpu1/,
      'python3: first answer to its program',
    )
  })
}

function config(model: string, providers: object[]): string {
  return JSON.stringify({
    local_models: { [model]: { providers } },
    active_models: { local_models: [model] },
  })
}
