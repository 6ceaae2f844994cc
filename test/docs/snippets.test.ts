import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { isObject } from '../../src/lib/json/read.ts'
import { modelsConfig } from '../helpers/models-config.ts'
import { startRouter, type TestRouter } from '../helpers/router.ts'
import { type ScriptedUpstream, startUpstream } from '../helpers/scripted-upstream.ts'
import { type Block, blocksOf, commandsOf, pages, programOf, root } from './blocks.ts'
import { openShell, type Shell } from './shell.ts'

/** Why the test does not run a command, by its program. A program of the repository must exist. */
const notRun: Record<string, string> = {
  './run-tests.sh': 'runs this test',
  docker:
    'needs a container engine and downloads; test/packaging and test/deploy read what it builds and starts',
  kubectl: 'needs a cluster',
  helm: 'test/deploy/kubernetes-page.test.ts renders what it would install',
  'deploy/helm/package.sh': 'run by test/deploy/kubernetes-page.test.ts',
  ...Object.fromEntries(
    ['claude', 'codex', 'opencode', 'qwen', 'gemini', 'cn', 'cline', 'aider'].map((program) => [
      program,
      'not a part of the project; test/engines/ runs it',
    ]),
  ),
  ...Object.fromEntries(
    ['git', 'cd', 'npm', 'npx', 'llm-router'].map((program) => [
      program,
      'typed by npm run try; test/packaging/try.test.ts runs it',
    ]),
  ),
  'scripts/sbom.sh': 'run by test/deploy/sbom.test.ts',
}

const keys = { OPENAI_API_KEY: 'sk-for-openai' }
const blocks = pages.flatMap(blocksOf).filter(({ language }) => language === 'sh')

/** The block of a page in this language that contains this text. */
function textOf(page: string, language: string, text: string): string {
  const found = blocksOf(page).find((block) => block.language === language && block.text.includes(text))
  return found?.text ?? assert.fail(`${page} has no ${language} block with ${text}`)
}

/** The files that a reader of this page has created by then. */
function filesOf(page: string): Record<string, string> {
  const files: Record<string, string> = {
    'models-config.json': textOf('docs/configuration.md', 'json', 'active_models'),
  }
  if (page === 'docs/migration.md')
    files['config.yaml'] =
      'model_list: [{model_name: llama, litellm_params: {model: ollama/llama, api_base: "http://gpu1"}}]\n'
  if (page === 'docs/client-keys.md') files['keys.json'] = textOf(page, 'json', '"keys"')
  if (page === 'docs/strategies.md') files['my-strategies.ts'] = textOf(page, 'ts', '// my-strategies.ts')
  if (page === 'docs/extending.md') {
    files['my-extension.ts'] = textOf(page, 'ts', 'myExtension')
    files['summarize.ts'] = textOf(page, 'ts', '// summarize.ts')
  }
  return files
}

let router: TestRouter
let upstream: ScriptedUpstream
let extensionShell: Shell

before(async () => {
  // With the text endpoint of docs/extending.md, which has its own test.
  extensionShell = openShell({
    url: '',
    files: {
      'rate-texts.ts': textOf('docs/extending.md', 'ts', 'rateTexts'),
      'prompts/builtin/system/en/rate-text.prompt': textOf('docs/extending.md', 'text', 'AUDIENCE_STR'),
    },
  })
  router = await startRouter({
    env: {
      LLM_ROUTER_EXTENSIONS: join(extensionShell.folder, 'rate-texts.ts'),
      LLM_ROUTER_PROMPTS_DIR: join(extensionShell.folder, 'prompts'),
    },
    models: modelsConfig({ demo: [{ api_type: 'mock' }] }),
  })
  upstream = await startUpstream(({ url }) =>
    url === '/v1/models'
      ? {
          kind: 'reply',
          body: { object: 'list', data: [{ id: 'llama', owned_by: 'vllm', max_model_len: 8192 }] },
        }
      : { kind: 'reply', status: 404, body: {} },
  )
})
after(async () => {
  await router.close()
  await upstream.close()
  await extensionShell.close()
})

/** Replaces the machine names of the pages. */
function here(command: string): string {
  return command.replaceAll(/\bgpu[12](?::\d+)?\b/g, new URL(upstream.url).host)
}

describe('the shell commands of the pages', () => {
  for (const block of blocks) {
    const commands = commandsOf(block)
    const typed = commands.filter((command) => !Object.hasOwn(notRun, programOf(command)))
    const location = `${block.page}:${block.line}`

    if (typed.length < commands.length)
      test(`have valid syntax and call existing programs: ${location}`, () => {
        const read = spawnSync('bash', ['-n'], { input: block.text, encoding: 'utf8' })
        assert.deepEqual([read.status, read.stderr], [0, ''])
        for (const program of commands.map(programOf))
          if (program.includes('/')) assert.ok(existsSync(join(root, program)), program)
      })

    if (typed.length > 0)
      test(`succeed: ${location}`, async (t) => {
        const shell: Shell = openShell({
          url: router.url,
          files: filesOf(block.page),
          env: keys,
          // On other pages, only options and variables matter; starting a process is the same each time.
          ownProcesses: block.page === 'README.md',
        })
        t.after(() => shell.close())
        for (const command of typed) {
          const known = /^(?:curl|export|\.\/run-rest-api\.sh)$/.test(programOf(command))
          assert.ok(known, `${location}: no rule for this command: ${command}`)
          const said = await shell.type(here(command))
          if (programOf(command) === 'curl') assert.notEqual(said, '', command)
        }
        await lookAround(block, shell)
      })
  }
})

/** Checks the expected effect of the commands of some blocks. */
async function lookAround({ page, text }: Block, shell: Shell): Promise<void> {
  if (page === 'docs/extending.md' && text.includes('my-extension.ts')) {
    const answer = await (await fetch(`${shell.url()}/hello`)).json()
    assert.ok(isObject(answer) && Array.isArray(answer.models) && answer.models.includes('demo'))
  }
  if (page === 'README.md' && text.includes('discover')) {
    assert.match(await (await fetch(`${shell.url()}/v1/models`)).text(), /"id":"llama"/)
  }
  if (page === 'docs/client-keys.md') {
    assert.equal((await fetch(`${shell.url()}/v1/models`)).status, 401)
  }
}
