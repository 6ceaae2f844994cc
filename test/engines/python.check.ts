import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { modelsConfig } from '../helpers/models-config.ts'
import { startRouter, type TestRouter } from '../helpers/router.ts'
import { type ScriptedUpstream, startUpstream } from '../helpers/scripted-upstream.ts'
import { sectionText } from './page.ts'
import { scriptedModel } from './scripted-model.ts'

interface Ended {
  code: unknown
  output: string
}

/**
 * The Python blocks of docs/clients.md, with packages from PyPI that are kept for later runs. The first download takes minutes.
 */
const skip = process.env.LLM_ROUTER_TEST_PYTHON ? false : 'LLM_ROUTER_TEST_PYTHON is not set'

describe('Python clients', { skip }, () => {
  const venvs = join(tmpdir(), 'llm-router-clients/python')
  let folder: string
  let upstream: ScriptedUpstream
  let router: TestRouter

  async function run(command: string, args: readonly string[], cwd = folder): Promise<Ended> {
    const env = { PATH: process.env.PATH ?? '', HOME: folder, ROUTER_KEY: 'unused' }
    const child = spawn(command, args, { cwd, env, stdio: ['ignore', 'pipe', 'pipe'] })
    let output = ''
    for (const stream of [child.stdout, child.stderr])
      stream.on('data', (part) => {
        output += part
      })
    const [code] = await once(child, 'close')
    return { code, output }
  }
  async function succeeds(command: string, args: readonly string[]): Promise<string> {
    const { code, output } = await run(command, args)
    assert.equal(code, 0, output)
    return output
  }
  /** The folder of the commands of a virtual environment with these packages. */
  async function venvWith(name: string, packages: readonly string[]): Promise<string> {
    mkdirSync(venvs, { recursive: true })
    const bin = join(venvs, name, 'bin')
    await succeeds('python3', ['-m', 'venv', join(venvs, name)])
    await succeeds(join(bin, 'pip'), ['install', '-q', '--disable-pip-version-check', ...packages])
    return bin
  }

  before(async () => {
    folder = mkdtempSync(join(tmpdir(), 'llm-router-python-'))
    upstream = await startUpstream(scriptedModel(() => ({ text: 'Good morning!' })))
    const target = { api_type: 'vllm', api_host: upstream.url, model_path: 'scripted' }
    router = await startRouter({ models: modelsConfig({ demo: [target] }) })
  })
  after(async () => {
    await router?.close()
    await upstream?.close()
    rmSync(folder, { recursive: true, force: true })
  })

  for (const [heading, name] of [
    ["OpenAI's SDK", 'openai'],
    ['LangChain', 'langchain-openai'],
    ['LiteLLM', 'litellm'],
  ] as const)
    test(`${heading}: prints the model's response`, { timeout: 600_000 }, async () => {
      const bin = await venvWith('sdks', [name])
      const file = join(folder, 'example.py')
      writeFileSync(file, sectionText(heading, 'python', router.url))
      assert.match(await succeeds(join(bin, 'python'), [file]), /Good morning!/)
    })

  test('aider edits a file as the model requests', { timeout: 600_000 }, async () => {
    const bin = await venvWith('aider', ['aider-chat'])
    const text = [
      'notes.txt',
      '<<<<<<< SEARCH',
      'colour = red',
      '=======',
      'colour = blue',
      '>>>>>>> REPLACE',
      '',
    ]
    const whole = ['notes.txt', '```', 'colour = blue', '```', '']
    upstream.rescript(
      scriptedModel(({ raw }) => ({ text: (raw.includes('SEARCH') ? text : whole).join('\n') })),
    )
    const notes = join(folder, 'notes.txt')
    writeFileSync(notes, 'colour = red\n')
    const lines = sectionText('aider', 'sh', router.url).trimEnd()
    const rest = '--yes-always --no-git --no-check-update --no-show-model-warnings --no-analytics'
    const script = `export PATH='${bin}':$PATH\n${lines} ${rest} --message 'Make the colour blue' notes.txt`
    const output = await succeeds('bash', ['-c', script])
    assert.equal(readFileSync(notes, 'utf8'), 'colour = blue\n', output)
  })
})
