import assert from 'node:assert/strict'
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { readPromptTree } from '../../src/config/prompt-tree.ts'

function folderOf(t: TestContext, files: Record<string, string | Uint8Array>): string {
  const folder = mkdtempSync(join(tmpdir(), 'llm-router-prompts-'))
  t.after(() => rmSync(folder, { recursive: true }))
  for (const [path, content] of Object.entries(files)) {
    mkdirSync(dirname(join(folder, path)), { recursive: true })
    writeFileSync(join(folder, path), content)
  }
  return folder
}

test('prompt files at any depth are read, with their paths as ids', async (t) => {
  const folder = folderOf(t, {
    'top.prompt': 'a',
    'builtin/system/pl/two words.v2.prompt': '\ufeff zażółć\n\n',
    'builtin/notes.txt': 'no prompt',
    '.prompt': 'no name',
  })
  assert.deepEqual(await readPromptTree(folder), {
    texts: new Map([
      ['builtin/system/pl/two words.v2', 'zażółć'],
      ['top', 'a'],
    ]),
    errors: [],
  })
})

test('a blank prompt file is ignored', async (t) => {
  const tree = await readPromptTree(folderOf(t, { 'a.prompt': ' \n' }))
  assert.deepEqual(tree, { texts: new Map(), errors: [] })
})

test('a missing directory, or a file instead of one, yields undefined', async (t) => {
  const folder = folderOf(t, { file: 'x' })
  assert.equal(await readPromptTree(join(folder, 'none')), undefined)
  assert.equal(await readPromptTree(join(folder, 'file')), undefined)
  assert.equal(await readPromptTree(join(folder, 'file/below')), undefined)
})

test('a Kubernetes volume is read through its symlinks, and its hidden folders are skipped', async (t) => {
  const folder = folderOf(t, { '..2025_01/top.prompt': 'a', '..2025_01/builtin/system/pl/b.prompt': 'b' })
  symlinkSync('..2025_01', join(folder, '..data'))
  symlinkSync('..data/top.prompt', join(folder, 'top.prompt'))
  symlinkSync('..data/builtin', join(folder, 'builtin'))
  const tree = await readPromptTree(folder)
  assert.deepEqual([...(tree?.texts.keys() ?? [])], ['builtin/system/pl/b', 'top'])
})

test('a symlink to a parent folder is not followed', async (t) => {
  const folder = folderOf(t, { 'a/b/x.prompt': 'x' })
  symlinkSync('../..', join(folder, 'a/b/again'))
  assert.deepEqual(await readPromptTree(folder), { texts: new Map([['a/b/x', 'x']]), errors: [] })
})

test('errors name the file, and the other prompts are still read', async (t) => {
  const folder = folderOf(t, {
    'bad/latin1.prompt': Uint8Array.of(0x7a, 0xbf),
    'bad/large.prompt': 'x'.repeat(1024 * 1024 + 1),
    'good.prompt': 'x',
  })
  symlinkSync('nowhere', join(folder, 'bad/link.prompt'))
  symlinkSync('nowhere', join(folder, 'bad/link'))
  assert.deepEqual(await readPromptTree(folder), {
    texts: new Map([['good', 'x']]),
    errors: [
      'bad/large.prompt: over 1048576 bytes',
      'bad/latin1.prompt: not UTF-8',
      'bad/link.prompt: cannot be read (ENOENT)',
    ],
  })
})
