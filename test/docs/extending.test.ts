import assert from 'node:assert/strict'
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { post } from '../helpers/http.ts'
import { modelsConfig } from '../helpers/models-config.ts'
import { startRouter } from '../helpers/router.ts'
import { openaiText, startUpstream } from '../helpers/scripted-upstream.ts'

const repository = join(import.meta.dirname, '../..')

/** The block of this language in a section of a page. */
function blockOf(page: string, section: string, language: string): string {
  const text = readFileSync(join(repository, 'docs', page), 'utf8')
  const [, after = ''] = text.split(`\n## ${section}\n`)
  const block = new RegExp(`\`\`\`${language}\n(.*?)\`\`\``, 's').exec(after)?.[1]
  return block ?? assert.fail(`${page} has no ${language} block under "${section}"`)
}

test('the text endpoint of docs/extending.md works as an extension, with validation, docs, prompt and defaults', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'llm-router-extending-'))
  const prompts = join(folder, 'prompts/builtin/system/en')
  mkdirSync(prompts, { recursive: true })
  const extension = join(folder, 'rate-texts.ts')
  writeFileSync(extension, blockOf('extending.md', 'A text endpoint', 'ts'))
  writeFileSync(join(prompts, 'rate-text.prompt'), blockOf('extending.md', 'A text endpoint', 'text'))
  t.after(() => rmSync(folder, { recursive: true }))

  const upstream = await startUpstream(openaiText('I would say 7.'))
  t.after(() => upstream.close())
  const router = await startRouter({
    env: { LLM_ROUTER_EXTENSIONS: extension, LLM_ROUTER_PROMPTS_DIR: join(folder, 'prompts') },
    models: modelsConfig({ demo: [{ id: 'demo', api_type: 'vllm', api_host: upstream.url }] }),
  })
  t.after(() => router.close())

  const body = { model: 'demo', texts: ['Cats sleep.'], audience: 'children', language: 'en' }
  for (const path of ['/api/rate_texts', '/builtin/rate_texts', '/api/builtin/rate_texts']) {
    const { status, text } = await post(router.url + path, body)
    assert.equal(status, 200, text)
    assert.deepEqual(JSON.parse(text).response, [{ text: 'Cats sleep.', rating: 7 }])
  }
  assert.deepEqual(upstream.requests[0]?.body, {
    model: 'demo',
    messages: [
      {
        role: 'system',
        content:
          "Rate how well the user's message is written for children. Return only a number from 1 to 10.",
      },
      { role: 'user', content: 'Cats sleep.' },
    ],
    stream: false,
    temperature: 0,
    max_tokens: 8,
  })
  const bad = await post(`${router.url}/api/rate_texts`, { model: 'demo', texts: [1] })
  assert.equal(bad.status, 400)
  assert.equal(JSON.parse(bad.text).error.param, 'texts[0]')
  const listed = router.app.textEndpoints.list().find(({ name }) => name === 'rate_texts')
  assert.match(listed?.summary ?? '', /how well/)
})

test('the processor of docs/extending.md blocks requests, replaces texts of responses, and checks its options', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'llm-router-extending-'))
  t.after(() => rmSync(folder, { recursive: true }))
  const extension = join(folder, 'project-names.ts')
  writeFileSync(extension, blockOf('extending.md', 'A processor', 'ts'))
  const upstream = await startUpstream(openaiText('Bluebird is late.'))
  t.after(() => upstream.close())
  const start = (options: object) =>
    startRouter({
      env: { LLM_ROUTER_EXTENSIONS: extension },
      models: {
        ...modelsConfig({ demo: [{ id: 'demo', api_type: 'vllm', api_host: upstream.url }] }),
        processors: [{ type: 'project_names', options }],
      },
    })
  await assert.rejects(start({}), /names: missing; it must be a list of names/)
  const router = await start({ names: ['Bluebird'] })
  t.after(() => router.close())
  const ask = (content: string) =>
    post(`${router.url}/v1/chat/completions`, { model: 'demo', messages: [{ role: 'user', content }] })
  assert.equal((await ask('How is Bluebird?')).status, 400)
  const { status, text } = await ask('How is the project?')
  assert.equal(status, 200, text)
  assert.equal(JSON.parse(text).choices[0].message.content, '(removed)')
})

test('docs/text-endpoints.md names every endpoint, with its fields, and every prompt', async (t) => {
  const router = await startRouter({ models: modelsConfig({ demo: [{ api_type: 'mock' }] }) })
  t.after(() => router.close())
  const page = readFileSync(join(repository, 'docs/text-endpoints.md'), 'utf8')
  for (const { name, request } of router.app.textEndpoints.list()) {
    assert.ok(page.includes(`| \`${name}\` |`), name)
    for (const field of Object.keys(request.properties)) assert.ok(page.includes(`\`${field}\``), field)
  }
  for (const { id } of router.app.prompts.list()) {
    assert.ok(page.includes(`| \`${id.split('/').at(-1)}\` |`), id)
  }
})
