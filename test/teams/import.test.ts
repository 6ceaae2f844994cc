import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { importCommand } from '../../src/cli/import.ts'
import { openTeam, sqliteUrl } from './team-house.ts'

/** What the command prints. */
async function imported(t: TestContext, url: string, kind: string, content: unknown) {
  const folder = mkdtempSync(join(tmpdir(), 'llm-router-import-'))
  t.after(() => rmSync(folder, { recursive: true }))
  const file = join(folder, 'export.json')
  writeFileSync(file, JSON.stringify(content))
  let printed = ''
  const code = await importCommand([kind, file], {
    program: 'llm-router',
    flags: { profiles: false, role: undefined, url: undefined, force: false },
    env: { LLM_ROUTER_DATABASE_URL: url },
    print: (text) => {
      printed += text
    },
    printError: () => undefined,
  })
  assert.equal(code, 0)
  return JSON.parse(printed)
}

test('keys and teams of LiteLLM move with their limits, and the keys stay valid', async (t) => {
  const url = sqliteUrl(t)
  const [one, two] = ['sk-of-litellm-one-0123456789', 'sk-of-litellm-two-0123456789']
  const token = (key: string): string => createHash('sha256').update(key).digest('hex')
  const content = {
    teams: [
      {
        team_id: 'f00',
        team_alias: 'Research team',
        models: ['small'],
        max_budget: 50,
        budget_duration: '30d',
      },
    ],
    keys: [
      { token: token(one), key_alias: 'alice', team_id: 'f00', models: ['all-team-models'], rpm_limit: 100 },
      {
        token: token(two),
        key_alias: null,
        key_name: 'sk-...6789',
        models: [],
        blocked: true,
        team_id: null,
      },
      { token: 'sk-plain', key_alias: 'odd' },
    ],
  }
  const first = await imported(t, url, 'litellm', content)
  assert.deepEqual(first.created, { groups: 1, clients: 2, keys: 2 })
  assert.equal(first.notes.length, 2)
  assert.match(first.notes[0], /Research-team has a budget of 50 each 30d, which is not imported/)
  assert.deepEqual((await imported(t, url, 'litellm', content)).created, { groups: 0, clients: 0, keys: 0 })
  const { admin, chat } = await openTeam(t, url)
  assert.deepEqual([(await chat(one)).status, (await chat(one, 'large')).status], [200, 404])
  assert.equal((await chat(two)).status, 401)
  const { body } = await admin('GET', '/clients/alice')
  assert.deepEqual([body.group, body.requests_per_minute], ['Research-team', 100])
})

test('keys of the Python router move', async (t) => {
  const url = sqliteUrl(t)
  const key = 'sk-of-the-python-router-0123456789'
  const records = [
    { key_plain: key, key_id: 'old', is_active: true, policy_override: { model_whitelist: ['small'] } },
  ]
  assert.deepEqual((await imported(t, url, 'keys', records)).created, { groups: 0, clients: 1, keys: 1 })
  const { chat } = await openTeam(t, url)
  assert.deepEqual([(await chat(key)).status, (await chat(key, 'large')).status], [200, 404])
})

test('a file that is none of these is refused', async (t) => {
  await assert.rejects(imported(t, sqliteUrl(t), 'litellm', []), /not an object with the lists/)
  await assert.rejects(imported(t, sqliteUrl(t), 'other', {}), /the command is/)
})
