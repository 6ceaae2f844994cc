import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { type TSchema, Type } from '@sinclair/typebox'
import { Value } from '@sinclair/typebox/value'
import fastify from 'fastify'
import { parse } from 'yaml'
import { isObject } from '../../src/lib/json/read.ts'
import { runCli } from '../cli/run-cli.ts'
import { modelsConfig } from '../helpers/models-config.ts'
import { startRouter, type TestRouter } from '../helpers/router.ts'
import { type Block, blocksOf, pages } from './blocks.ts'

/** A kind of block: which blocks belong to it, and what must be true of each. The first match applies. */
interface Rule {
  is(value: unknown, block: Block): boolean
  holds(value: unknown, block: Block): Promise<void> | void
}

let router: TestRouter
let folder: string

before(async () => {
  folder = mkdtempSync(join(tmpdir(), 'llm-router-docs-'))
  router = await startRouter({ models: modelsConfig({ demo: [{ api_type: 'mock' }] }) })
})
after(async () => {
  await router.close()
  rmSync(folder, { recursive: true })
})

/** Passes if `llm-router check` reports no errors and no warnings for the file. */
async function passesCheck(config: unknown, env: Record<string, string> = {}): Promise<void> {
  const file = join(folder, 'models-config.json')
  writeFileSync(file, typeof config === 'string' ? config : JSON.stringify(config))
  const { code, stdout, stderr } = await runCli(['check', file], { OPENAI_API_KEY: 'sk-x', ...env })
  assert.equal(code, 0, stdout + stderr)
  assert.match(stdout, /no errors, 0 warnings\n$/)
}

/** Blocks for other programs: test/docs/clients.test.ts checks them, test/engines/ runs them. */
const ofClients: Rule = { is: (_value, { page }) => page === 'docs/clients.md', holds: () => undefined }

/** A program and an output of `npm run try`: test/packaging/try.test.ts runs and compares them. */
const ofTheQuickStart: Rule = {
  is: (value, { page }) => page === 'docs/quick-start.md' && typeof value === 'string',
  holds: () => undefined,
}

/** `npm run test:engines` runs the same block of docs/clients.md. */
const ofReadme: Rule = {
  is: (_value, { page }) => page === 'README.md',
  holds: (_value, { text }) =>
    assert.ok(
      blocksOf('docs/clients.md').some((block) => block.text === text),
      'the same as in docs/clients.md',
    ),
}

const json: Rule[] = [
  ofClients,
  {
    is: (value) => has(value, 'active_models') || has(value, 'servers'),
    holds: (_value, { text }) => passesCheck(text),
  },
  // Part of a file: the page is about one model, or one provider.
  {
    is: (value, { page }) => ['docs/strategies.md', 'docs/queue.md'].includes(page) && isObject(value),
    holds: (value) => {
      const active = Object.entries(Object(value)).map(([group, models]) => [
        group,
        Object.keys(Object(models)),
      ])
      return passesCheck({ ...Object(value), active_models: Object.fromEntries(active) })
    },
  },
  {
    is: (value) => has(value, 'api_type'),
    holds: (value) => passesCheck(modelsConfig({ demo: [Object(value)] })),
  },
  {
    is: (value) => has(value, 'keys'),
    holds: (_value, { text }) => {
      const file = join(folder, 'keys.json')
      writeFileSync(file, text)
      return passesCheck(modelsConfig({ demo: [{ api_type: 'mock' }] }), {
        LLM_ROUTER_AUTH_ENABLED: '1',
        LLM_ROUTER_AUTH_MEMORY_SEED_FILE: file,
        TEAM_A_KEY: 'sk-0123456789abcdefghij',
        SCRAPE_KEY: 'sk-abcdefghij0123456789',
      })
    },
  },
  {
    is: (value, { page }) => page === 'docs/kubernetes.md' && has(value, 'waiting'),
    holds: (value) => checks(scaling, value),
  },
  // test/teams/budget-webhook.test.ts receives such a message.
  {
    is: (value, { page }) => page === 'docs/teams.md' && has(value, 'timestamp'),
    holds: (value) => checks(budgetMessage, value),
  },
  {
    is: (value, { page }) => page === 'docs/text-endpoints.md' && has(value, 'response'),
    holds: isTextAnswer,
  },
]

const yaml: Rule[] = [
  ofClients,
  // test/deploy/kubernetes-page.test.ts checks them against values.schema.json and renders them.
  {
    is: (_value, { text }) => /^# \S+-values\.yaml\n/.test(text),
    holds: (value) => assert.ok(isObject(value)),
  },
  {
    is: (value) => has(value, 'scrape_configs'),
    holds: (value) => checks(Type.Object({ scrape_configs: Type.Array(scrapeConfig) }), value),
  },
  {
    // prometheus-adapter, docs/config.md: a rule requires a series query and the resources of the series.
    is: (_value, { page, text }) => page === 'docs/kubernetes.md' && text.startsWith('rules:\n'),
    holds: (value) => checks(Type.Object({ rules: Type.Object({ custom: Type.Array(adapterRule) }) }), value),
  },
]

const scaling = Type.Object({
  value: Type.Integer(),
  running: Type.Integer(),
  waiting: Type.Integer(),
  ready: Type.Integer(),
})
const budgetMessage = Type.Object({
  type: Type.Literal('budget.threshold'),
  timestamp: Type.String(),
  data: Type.Object({
    budget: Type.String(),
    threshold: Type.Number(),
    spent: Type.Number(),
    limit: Type.Number(),
  }),
})
const scrapeConfig = Type.Object({
  job_name: Type.Literal('llm-router'),
  static_configs: Type.Array(Type.Object({ targets: Type.Array(Type.RegExp(/^[\w.]+:\d+$/)) })),
})
const adapterRule = Type.Object({
  seriesQuery: Type.RegExp(/^http_requests_in_progress\{/),
  resources: Type.Object({}),
  metricsQuery: Type.String(),
})

const plain: Rule[] = [
  ofTheQuickStart,
  { is: (_value, { page, text }) => page === 'docs/cli.md' && text.startsWith('$ '), holds: saysThis },
  { is: (_value, { text }) => text.startsWith('data: '), holds: isTextStream },
  // test/security/redis.test.ts gives Redis this line.
  { is: (_value, { text }) => /^ACL SETUSER .*\n$/.test(text), holds: () => undefined },
  // test/docs/extending.test.ts creates a prompt from it.
  {
    is: (_value, { page, language }) => page === 'docs/extending.md' && language === 'text',
    holds: () => undefined,
  },
]

const languages: Record<string, { read: (text: string) => unknown; rules: Rule[] }> = {
  json: { read: JSON.parse, rules: json },
  yaml: { read: parse, rules: yaml },
  toml: { read: (text) => text, rules: [ofClients] },
  python: { read: (text) => text, rules: [ofClients, ofReadme, ofTheQuickStart] },
  '': { read: (text) => text, rules: plain },
  text: { read: (text) => text, rules: plain },
}

/** Languages covered by test/docs/snippets.test.ts, test/docs/code-blocks.test.ts and, for SQL, test/stores/migrations.test.ts. */
const elsewhere = ['sh', 'ts', 'js', 'sql']

describe('the data blocks of the pages', () => {
  for (const block of pages.flatMap(blocksOf)) {
    if (elsewhere.includes(block.language)) continue
    test(`are valid input or output of the router: ${block.page}:${block.line}`, async () => {
      const language = languages[block.language] ?? assert.fail(`no rule for the language ${block.language}`)
      const value = language.read(block.text)
      const rule = language.rules.find((candidate) => candidate.is(value, block))
      await (rule ?? assert.fail('no rule for this block')).holds(value, block)
    })
  }
})

function has(value: unknown, member: string): boolean {
  return isObject(value) && Object.hasOwn(value, member)
}

function checks(schema: TSchema, value: unknown): void {
  assert.deepEqual([...Value.Errors(schema, value)], [])
}

/** The output of the command on the page, for a file with the errors that it reports; three dots stand for the rest of a list. */
async function saysThis(_value: unknown, { text }: Block): Promise<void> {
  const file = join(folder, 'models.json')
  writeFileSync(
    file,
    `{
  "local_models": {
    "llama": {
      "strategy": "least_bussy",
      "providers": [
        { "api_type": "mock",  "api_hots": "http://x:1" }
      ]
    }
  },
  "active_models": { "local_models": ["llama"] }
}
`,
  )
  const [, ...shown] = text.trimEnd().split('\n')
  const { code, stdout } = await runCli(['check', file])
  assert.equal(code, 2)
  const said = stdout.trimEnd().replaceAll(file, 'models.json').split('\n')
  for (const [index, line] of shown.entries()) {
    const [start = '', end = ''] = line.split('...')
    assert.ok(said[index]?.startsWith(start) && said[index].endsWith(end), `${said[index]}\n${line}`)
  }
  assert.equal(said.length, shown.length)
}

/** A response that matches some text endpoint; a failed text is null, and its index is among the errors. */
async function isTextAnswer(value: unknown): Promise<void> {
  const { response, errors = [], generation_time } = Object(value)
  assert.equal(typeof generation_time, 'number')
  const failed = [response].flat().flatMap((item, index) => (item === null ? [index] : []))
  assert.deepEqual(
    errors.map(({ index }: { index: unknown }) => index),
    failed,
  )
  const payload = { response: Array.isArray(response) ? response.filter((item) => item !== null) : response }
  const app = fastify({ ajv: { customOptions: { coerceTypes: false, removeAdditional: false } } })
  const endpoints = router.app.textEndpoints.list()
  for (const { name, response: form } of endpoints) {
    const body = { type: 'object', properties: { response: form }, required: ['response'] }
    app.post(`/${name}`, { schema: { body } }, () => 'valid')
  }
  const answers = endpoints.map(({ name }) => app.inject({ method: 'POST', url: `/${name}`, payload }))
  const verdicts = (await Promise.all(answers)).map(({ statusCode }) => statusCode)
  await app.close()
  assert.ok(verdicts.includes(200), JSON.stringify(value))
}

/** The events of the page have the members of a stream of the same texts, in the same order. */
async function isTextStream(_value: unknown, { text }: Block): Promise<void> {
  const answer = await fetch(`${router.url}/api/translate`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ model: 'demo', texts: ['Good morning', 'Good night'], stream: true }),
  })
  assert.deepEqual(shapesOf(text), shapesOf(await answer.text()))
}

function shapesOf(events: string): unknown[] {
  const lines = events.split('\n\n').filter((event) => event.trim() !== '')
  return lines.map((event) => {
    const { result, ...members } = JSON.parse(event.replace(/^data: /, ''))
    return [Object.keys(Object(result)), Object.keys(members)]
  })
}
