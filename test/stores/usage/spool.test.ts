import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { execPath } from 'node:process'
import { test } from 'node:test'
import { UsageSpool } from '../../../src/stores/usage/spool.ts'

const source = new URL('../../../src/stores/usage/spool.ts', import.meta.url).href

test('usage that did not fit on the disk is on it once when there is space again', {
  skip: process.platform === 'win32',
}, async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'llm-router-spool-'))
  t.after(() => rmSync(folder, { recursive: true, force: true }))
  // The process may write files of 4 blocks of 512 bytes, so that the second write stops in the middle of a line.
  const program = `
    const { UsageSpool } = await import(${JSON.stringify(source)})
    const spool = new UsageSpool(${JSON.stringify(folder)}, 'database')
    const part = (batch, letters = 1) => ({ batch, part: { rows: [], lastUsed: {}, text: 'x'.repeat(letters) } })
    await spool.append([part('first')])
    const failed = await spool.append([part('second'), part('third', 4000)]).then(() => undefined, ({ code }) => code)
    await spool.append([part('second'), part('third')])
    console.log(failed)`
  const { stdout, stderr } = spawnSync(
    'sh',
    ['-c', 'trap "" XFSZ; ulimit -f 4; exec "$0" --input-type=module -e "$1"', execPath, program],
    { encoding: 'utf8' },
  )
  assert.equal(stdout, 'EFBIG\n', stderr)
  const { parts } = await new UsageSpool(folder, 'database').abandoned()
  assert.deepEqual(
    parts.map(({ batch }) => batch),
    ['first', 'second', 'third'],
  )
})
