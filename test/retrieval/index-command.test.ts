import assert from 'node:assert/strict'
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, test } from 'node:test'
import { headOfFile } from '../../src/lib/vector-index/format.ts'
import { type AutoRig, startAuto } from '../auto/rig.ts'
import { runCli } from '../cli/run-cli.ts'
import { post } from '../helpers/http.ts'
import { type Folder, tempFolder, writeIndex } from './rig.ts'

const open: { close(): Promise<void> }[] = []
const folders: Folder[] = []
afterEach(async () => {
  for (const each of open.splice(0).toReversed()) await each.close()
  for (const each of folders.splice(0)) each.remove()
})

function folder(): Folder {
  const made = tempFolder()
  folders.push(made)
  return made
}

async function rigOf(
  processors: unknown[],
  indexes: Folder,
  env: Record<string, string> = {},
): Promise<AutoRig> {
  const rig = await startAuto(undefined, {
    root: processors.length > 0 ? { processors } : {},
    env: { LLM_ROUTER_INDEX_DIR: indexes.path, ...env },
  })
  open.push(rig)
  return rig
}

const fromIndex = { type: 'retrieval', index: 'docs', embedding_model: 'e', clients: ['*'], limit: 1 }
const said = (content: string) => ({ model: 'small', messages: [{ role: 'user', content }] })

async function sentFor(rig: AutoRig, text: string): Promise<string> {
  const answer = await post(`${rig.router.url}/v1/chat/completions`, said(text))
  assert.equal(answer.status, 200, answer.text)
  return rig.models.requests.at(-1)?.raw.toString() ?? ''
}

test('text, Markdown and HTML files become an index that a router searches', async () => {
  const [documents, indexes] = [folder(), folder()]
  documents.write('notes/a.txt', 'All about the router.\n\nNothing else.')
  documents.write(
    'guide.md',
    '---\nx: 1\n---\n# Guide\nIntro.\n## Holidays\nA holiday takes 20 days.\n```\n# no heading\n```\n',
  )
  documents.write(
    'page.html',
    '<html><head><title>Site</title><script>code()</script></head><body><h1>Poems</h1><p>One poem &amp; another</p></body></html>',
  )
  documents.write('picture.png', new Uint8Array([0x89, 0x50, 0, 0]))
  documents.write('.hidden/secret.txt', 'code')
  const maker = await rigOf([], indexes)
  const made = await runCli(
    ['index', documents.path, '--name', 'docs', '--model', 'e', '--url', maker.router.url],
    {
      LLM_ROUTER_INDEX_DIR: indexes.path,
    },
  )
  assert.equal(made.code, 0, made.stderr)
  assert.match(made.stdout, /docs\.index: 4 chunks of 3 files, e, 5 dimensions/)
  assert.match(made.stderr, /picture\.png: skipped/)
  const rig = await rigOf([fromIndex], indexes)
  assert.match(
    await sentFor(rig, 'holiday?'),
    /\[1\] Guide > Holidays, guide\.md\\nA holiday takes 20 days\./,
  )
  assert.match(await sentFor(rig, 'poem?'), /\[1\] Site > Poems, page\.html\\nOne poem & another\\n/)
  assert.match(await sentFor(rig, 'router?'), /\[1\] notes\/a\.txt\\nAll about the router\./)
})

test('PDF and office files are rejected with their names, whatever their extension, unless --force is set', async () => {
  const [documents, indexes] = [folder(), folder()]
  documents.write('a.md', 'A poem.')
  documents.write('b.pdf', '%PDF-1.7 ...')
  documents.write('c.docx', 'PK\u0003\u0004')
  documents.write('d.txt', '%PDF-1.7 ...')
  documents.write('e.xlsx', 'PK\u0003\u0004')
  const rig = await rigOf([], indexes)
  const args = ['index', documents.path, '--name', 'docs', '--model', 'e', '--url', rig.router.url]
  const env = { LLM_ROUTER_INDEX_DIR: indexes.path }
  const refused = await runCli(args, env)
  assert.equal(refused.code, 1)
  for (const [name, kind] of [
    ['b.pdf', 'a PDF file'],
    ['c.docx', 'a Word file'],
    ['d.txt', 'a PDF file'],
    ['e.xlsx', 'an Excel file'],
  ])
    assert.ok(refused.stderr.includes(`${name}: ${kind} is not supported`), refused.stderr)
  assert.ok(!existsSync(join(indexes.path, 'docs.index')))
  const forced = await runCli([...args, '--force'], env)
  assert.equal(forced.code, 0, forced.stderr)
  assert.equal(headOfFile(join(indexes.path, 'docs.index')).chunks, 1)
})

test('a failed run leaves the existing index unchanged', async () => {
  const [documents, indexes] = [folder(), folder()]
  writeIndex(indexes.path, 'docs', ['A poem.'])
  const path = join(indexes.path, 'docs.index')
  const before = readFileSync(path)
  documents.write('a.md', 'A holiday.')
  const rig = await rigOf([], indexes)
  const env = { LLM_ROUTER_INDEX_DIR: indexes.path }
  const args = ['index', documents.path, '--name', 'docs', '--model', 'nowhere', '--url', rig.router.url]
  const failed = await runCli(args, env)
  assert.equal(failed.code, 1)
  assert.match(failed.stderr, /nowhere/)
  assert.deepEqual(readFileSync(path), before)
  assert.ok(!existsSync(`${path}.part`))
})

test('a new index file is used without a restart, and one of another embedding model is rejected', async () => {
  const indexes = folder()
  writeIndex(indexes.path, 'docs', ['An old poem.'])
  const rig = await rigOf([fromIndex], indexes)
  assert.match(await sentFor(rig, 'poem'), /An old poem/)
  writeIndex(indexes.path, 'docs', ['A new poem.', 'Even more.'])
  assert.match(await sentFor(rig, 'poem'), /A new poem/)
  writeIndex(indexes.path, 'docs', ['A foreign poem.'], 'other')
  assert.match(await sentFor(rig, 'poem'), /A new poem/)
  const line = await rig.router.logged(({ msg }) => String(msg).includes('updated index rejected'))
  assert.match(String(line.msg), /its vectors are of the model "other", not "e"/)
})

test('a missing, corrupt or mismatched index prevents startup, and check names it', async () => {
  const indexes = folder()
  await assert.rejects(
    rigOf([fromIndex], indexes),
    /processors\[0\]\.index: .*there is no such file.*llm-router index/,
  )
  writeIndex(indexes.path, 'docs', ['A poem.'], 'other')
  await assert.rejects(rigOf([fromIndex], indexes), /was made with the model "other", not "e"/)
  writeIndex(indexes.path, 'docs', ['A poem.'])
  const path = join(indexes.path, 'docs.index')
  indexes.write('docs.index', readFileSync(path).subarray(0, -3))
  await assert.rejects(rigOf([fromIndex], indexes), /the file is incomplete/)
  const models = {
    processors: [fromIndex],
    g: { e: { providers: [{ api_type: 'vllm', api_host: 'http://127.0.0.1:9' }] } },
    active_models: { g: ['e'] },
  }
  indexes.write('models-config.json', JSON.stringify(models))
  const checked = await runCli(['check', join(indexes.path, 'models-config.json')], {
    LLM_ROUTER_INDEX_DIR: indexes.path,
  })
  assert.equal(checked.code, 2)
  assert.match(
    checked.stdout,
    /processors\[0\]\.index: the index "docs" cannot be used: the file is incomplete/,
  )
})

test('the langchain_rag variables search an index for all clients', async () => {
  const indexes = folder()
  writeIndex(indexes.path, 'docs', ['A poem.'])
  const env = {
    LLM_ROUTER_UTILS_PLUGINS_PIPELINE: 'langchain_rag',
    LLM_ROUTER_LANGCHAIN_RAG_COLLECTION: 'docs',
    LLM_ROUTER_LANGCHAIN_RAG_EMBEDDER: 'e',
  }
  const rig = await rigOf([], indexes, env)
  assert.match(await sentFor(rig, 'poem'), /A poem\./)
  await assert.rejects(
    rigOf([], indexes, { LLM_ROUTER_UTILS_PLUGINS_PIPELINE: 'langchain_rag' }),
    /LLM_ROUTER_LANGCHAIN_RAG_COLLECTION: required/,
  )
})
