import assert from 'node:assert/strict'
import fs, { mkdirSync, mkdtempSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { syncBuiltinESMExports } from 'node:module'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { FileWatch } from '../../src/lib/watch-files.ts'

function emptyFolder(t: TestContext): string {
  const folder = mkdtempSync(join(tmpdir(), 'llm-router-watch-'))
  t.after(() => rmSync(folder, { recursive: true, force: true }))
  return folder
}

interface Watched {
  watch: FileWatch
  /** Fulfilled at the next change. */
  next(): Promise<void>
  blind: unknown[]
}

async function watching(t: TestContext, paths: readonly string[], pollMs = 0): Promise<Watched> {
  let change = Promise.withResolvers<void>()
  const blind: unknown[] = []
  const watch = new FileWatch({
    quietMs: 10,
    pollMs,
    onChange: () => {
      change.resolve()
      change = Promise.withResolvers<void>()
    },
    onWatchError: (error) => blind.push(error),
  })
  t.after(() => watch.close())
  await watch.set(paths)
  return { watch, next: () => change.promise, blind }
}

/** A volume as the kubelet lays it out: `config.json -> ..data/config.json`, `..data -> ..<version>`. */
function writeVolume(folder: string, version: string, text: string): void {
  mkdirSync(join(folder, version))
  writeFileSync(join(folder, version, 'config.json'), text)
  symlinkSync(version, join(folder, '..data_tmp'))
  renameSync(join(folder, '..data_tmp'), join(folder, '..data'))
}

test('every overwrite of a file is reported', async (t) => {
  const file = join(emptyFolder(t), 'a.json')
  writeFileSync(file, '1')
  const { next } = await watching(t, [file])
  for (const text of ['2', '3']) {
    const changed = next()
    writeFileSync(file, text)
    await changed
  }
})

test('every rename over a file is reported', async (t) => {
  const folder = emptyFolder(t)
  const file = join(folder, 'a.json')
  writeFileSync(file, '1')
  const { next } = await watching(t, [file])
  for (const text of ['2', '3']) {
    const changed = next()
    writeFileSync(join(folder, 'new'), text)
    renameSync(join(folder, 'new'), file)
    await changed
  }
})

test('every swap of a Kubernetes volume is reported', async (t) => {
  const folder = emptyFolder(t)
  writeVolume(folder, '..1', 'one')
  symlinkSync('..data/config.json', join(folder, 'config.json'))
  const { next } = await watching(t, [join(folder, 'config.json')])
  for (const [version, former] of [
    ['..2', '..1'],
    ['..3', '..2'],
  ] as const) {
    const changed = next()
    writeVolume(folder, version, version)
    rmSync(join(folder, former), { recursive: true })
    await changed
  }
})

test('the deletion of a file and its return are reported', async (t) => {
  const file = join(emptyFolder(t), 'a.json')
  writeFileSync(file, '1')
  const { next } = await watching(t, [file])
  const gone = next()
  rmSync(file)
  await gone
  const back = next()
  writeFileSync(file, '1')
  await back
})

test('a file is watched even if its directories are created later', async (t) => {
  const folder = emptyFolder(t)
  const { next } = await watching(t, [join(folder, 'not/yet/a.json')])
  const changed = next()
  mkdirSync(join(folder, 'not/yet'), { recursive: true })
  await changed
  const written = next()
  writeFileSync(join(folder, 'not/yet/a.json'), '1')
  await written
})

test('a changed symlink anywhere in the path of a file is reported', async (t) => {
  const folder = emptyFolder(t)
  for (const name of ['one', 'two']) {
    mkdirSync(join(folder, name, 'deep'), { recursive: true })
    writeFileSync(join(folder, name, 'deep/a.json'), name)
  }
  symlinkSync('one', join(folder, 'current'))
  const { next } = await watching(t, [join(folder, 'current/deep/a.json')])
  const changed = next()
  symlinkSync('two', join(folder, 'new'))
  renameSync(join(folder, 'new'), join(folder, 'current'))
  await changed
})

test('a change of another file in the same folder is not reported', async (t) => {
  const folder = emptyFolder(t)
  writeFileSync(join(folder, 'a.json'), '1')
  const { next } = await watching(t, [join(folder, 'a.json')])
  const neighbour = await watching(t, [join(folder, 'b.json')])
  let changed = false
  void next().then(() => {
    changed = true
  })
  const fence = neighbour.next()
  writeFileSync(join(folder, 'b.json'), '2')
  await fence
  assert.equal(changed, false)
})

test('setting the paths returns whether anything has changed since the last check', async (t) => {
  const folder = emptyFolder(t)
  const file = join(folder, 'a.json')
  writeFileSync(file, '1')
  const { watch } = await watching(t, [file])
  assert.equal(await watch.set([file]), false)
  writeFileSync(file, '22')
  assert.equal(await watch.set([file]), true)
  assert.equal(await watch.set([file, join(folder, 'b.json')]), true)
})

test('if the system refuses to watch, one error is reported and changes are found by polling', async (t) => {
  const folder = emptyFolder(t)
  const file = join(folder, 'a.json')
  writeFileSync(file, '1')
  t.mock.method(fs, 'watch', () => {
    throw Object.assign(new Error('no more watches'), { code: 'ENOSPC' })
  })
  syncBuiltinESMExports()
  t.after(() => {
    t.mock.restoreAll()
    syncBuiltinESMExports()
  })
  const { next, blind } = await watching(t, [file, join(folder, 'b/c')], 5)
  assert.equal(blind.length, 1)
  const changed = next()
  writeFileSync(file, 'another length')
  await changed
})
