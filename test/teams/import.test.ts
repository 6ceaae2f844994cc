import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { keysCommand } from '../../src/cli/directory.ts'
import { importCommand } from '../../src/cli/import.ts'
import { databaseKinds, databases } from './databases.ts'
import { openTeam, sqliteUrl } from './team-router.ts'

/** The output of the command. */
async function imported(t: TestContext, url: string, kind: string, ...contents: unknown[]) {
  const folder = mkdtempSync(join(tmpdir(), 'llm-router-import-'))
  t.after(() => rmSync(folder, { recursive: true }))
  const files = contents.map((content, index) => {
    const file = join(folder, `export-${index}.json`)
    writeFileSync(file, JSON.stringify(content))
    return file
  })
  let printed = ''
  const code = await importCommand([kind, ...files], {
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

test('LiteLLM keys and teams are imported with their limits, and the keys remain valid', async (t) => {
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
  assert.deepEqual(first.created, { groups: 1, clients: 2, keys: 2, budgets: 1 })
  assert.deepEqual(first.notes, [
    'a key has no SHA-256 as its token: odd',
    'cost budgets use the prices of this router: create a price for each model',
  ])
  const again = await imported(t, url, 'litellm', content)
  assert.deepEqual(again.created, { groups: 0, clients: 0, keys: 0, budgets: 0 })
  const { admin, chat } = await openTeam(t, url)
  assert.deepEqual([(await chat(one)).status, (await chat(one, 'large')).status], [200, 404])
  assert.equal((await chat(two)).status, 401)
  const { body } = await admin('GET', '/clients/alice')
  assert.deepEqual([body.group, body.requests_per_minute], ['Research-team', 100])
})

const digest = (key: string): string => createHash('sha256').update(key).digest('hex')

/** As `/key/list?return_full_object=true` lists it: all members, most of them null. */
const listedKey = (key: string, more: object) => ({
  token: digest(key),
  key_name: `sk-...${key.slice(-4)}`,
  key_alias: null,
  spend: 1.25,
  max_budget: null,
  expires: null,
  models: [],
  aliases: {},
  config: {},
  user_id: 'default_user_id',
  team_id: null,
  max_parallel_requests: null,
  metadata: {},
  tpm_limit: null,
  rpm_limit: null,
  budget_duration: null,
  budget_reset_at: null,
  allowed_cache_controls: [],
  allowed_routes: [],
  permissions: {},
  model_spend: {},
  model_max_budget: {},
  soft_budget_cooldown: false,
  blocked: null,
  litellm_budget_table: null,
  org_id: null,
  user_role: 'proxy_admin',
  created_at: '2026-08-04T12:51:50.123000Z',
  ...more,
})
const listedTeam = (id: string, alias: string, more: object) => ({
  team_id: id,
  team_alias: alias,
  organization_id: null,
  admins: [],
  members: [],
  members_with_roles: [{ user_id: 'default_user_id', user_email: null, role: 'admin' }],
  metadata: {},
  max_budget: null,
  spend: 0,
  models: [],
  tpm_limit: null,
  rpm_limit: null,
  budget_duration: null,
  blocked: false,
  model_id: null,
  ...more,
})
const keysOfLiteLlm = ['alice', 'bob', 'carol', 'dave', 'erin'].map(
  (name) => `sk-of-litellm-${name}-0123456789`,
)
const [alice = '', bob = '', carol = '', dave = '', erin = ''] = keysOfLiteLlm

test('paginated LiteLLM exports are imported completely: keys in several files, teams in either form', async (t) => {
  const pages = [
    {
      keys: [
        listedKey(alice, { key_alias: 'my-app', team_id: 't-1', max_budget: 20, budget_duration: '1d' }),
        listedKey(bob, { key_alias: 'my app', team_id: 't-2', models: ['no-default-models'] }),
      ],
      total_count: 5,
      current_page: 1,
      total_pages: 3,
    },
    {
      keys: [
        listedKey(carol, {
          expires: '2020-05-01T00:00:00',
          model_max_budget: { small: { budget_limit: 3, time_period: '12h' } },
        }),
        listedKey(dave, { rpm_limit: 0, tpm_limit: 1000 }),
      ],
      total_count: 5,
      current_page: 2,
      total_pages: 3,
    },
  ]
  const teams = [
    listedTeam('t-1', 'Research', {
      soft_budget: 5,
      max_budget: 9,
      budget_duration: '7d',
      models: ['small'],
    }),
    listedTeam('t-2', 'research', { max_budget: 100 }),
  ]
  const v2 = { teams, total: 2, page: 1, page_size: 100, total_pages: 1 }
  const url = sqliteUrl(t)
  const first = await imported(t, url, 'litellm', ...pages, v2)
  assert.deepEqual(first.created, { groups: 2, clients: 4, keys: 4, budgets: 4 })
  assert.deepEqual(
    first.notes.filter((note: string) => !/prices of this router/.test(note)),
    [
      '4 of 5 keys are in the files: export the other pages too',
      'research has a budget of 100 for all time, which is not imported',
      `client key-${digest(dave).slice(0, 12)} is disabled: one of its limits is 0`,
    ],
  )
  // The last page, and teams as the older endpoint lists them, with their keys.
  const older = teams.map((team) => ({ ...team, keys: [], team_memberships: [] }))
  const last = { keys: [listedKey(erin, { key_alias: 'erin', team_id: 't-1' })], total_count: 5 }
  const second = await imported(t, url, 'litellm', [...pages, last], older)
  assert.deepEqual(second.created, { groups: 0, clients: 1, keys: 1, budgets: 0 })

  const { admin, chat } = await openTeam(t, url)
  const seen = []
  for (const key of keysOfLiteLlm) seen.push((await chat(key)).status)
  assert.deepEqual(seen, [200, 404, 401, 401, 200])
  assert.equal((await chat(alice, 'large')).status, 404)
  const { body } = await admin('GET', '/budgets')
  assert.deepEqual(
    body.data.map(
      ({ id, client, group, model, limit, window, hours, unit, hard }: Record<string, unknown>) => [
        id,
        client ?? group,
        model,
        limit,
        hours ?? window,
        unit,
        hard,
      ],
    ),
    [
      ['Research-budget', 'Research', undefined, 9, 'week', 'cost', undefined],
      ['Research-soft', 'Research', undefined, 5, 'week', 'cost', false],
      [
        `key-${digest(carol).slice(0, 12)}-small`,
        `key-${digest(carol).slice(0, 12)}`,
        'small',
        3,
        12,
        'cost',
        undefined,
      ],
      ['my-app-budget', 'my-app', undefined, 20, 'day', 'cost', undefined],
    ],
  )
  // Two names that map to the same id are two clients.
  const clients = (await admin('GET', '/clients')).body.data.map(({ id }: { id: string }) => id)
  assert.ok(
    clients.includes('my-app') && clients.includes(`my-app-${digest(bob).slice(0, 12)}`),
    clients.join(),
  )
  assert.ok(clients.every((id: string) => id !== 'proxy_admin'))
})

test('a key of a team that is missing from the files is imported disabled', async (t) => {
  const url = sqliteUrl(t)
  const { notes } = await imported(t, url, 'litellm', { keys: [listedKey(alice, { team_id: 'gone' })] })
  assert.match(notes.join(), /is disabled: its team gone is not in the files/)
  const { chat } = await openTeam(t, url)
  assert.equal((await chat(alice)).status, 401)
})

test('keys of the Python router are imported', async (t) => {
  const url = sqliteUrl(t)
  const key = 'sk-of-the-python-router-0123456789'
  const records = [
    { key_plain: key, key_id: 'old', is_active: true, policy_override: { model_whitelist: ['small'] } },
  ]
  const { created } = await imported(t, url, 'keys', records)
  assert.deepEqual(created, { groups: 0, clients: 1, keys: 1, budgets: 0 })
  const { chat } = await openTeam(t, url)
  assert.deepEqual([(await chat(key)).status, (await chat(key, 'large')).status], [200, 404])
})

test('a client of a keys file is imported with all its keys, each with its own expiry', async (t) => {
  const url = sqliteUrl(t)
  const keys = ['own', 'second', 'ended', 'off'].map((name) => `sk-of-the-file-${name}-0123456789`)
  const [own, second, ended, off] = keys
  const more = [second, { id: 'old', key: ended, expires_at: '2020-01-01' }, { key: off, enabled: false }]
  const file = { keys: [{ id: 'alice', key: own, keys: more, priority_header: true }] }
  const { created } = await imported(t, url, 'keys', file)
  assert.deepEqual(created, { groups: 0, clients: 1, keys: 3, budgets: 0 })
  const { admin, chat } = await openTeam(t, url)
  const seen = []
  for (const key of keys) seen.push((await chat(key)).status)
  assert.deepEqual(seen, [200, 200, 401, 401])
  assert.equal((await admin('GET', '/clients/alice')).body.priority_header, true)
})

test('a file of unknown format is rejected', async (t) => {
  await assert.rejects(imported(t, sqliteUrl(t), 'litellm', []), /not a response of LiteLLM/)
  const digests = { keys: [digest(alice)], total_count: 1 }
  await assert.rejects(imported(t, sqliteUrl(t), 'litellm', digests), /return_full_object=true/)
  await assert.rejects(imported(t, sqliteUrl(t), 'other', {}), /Usage: llm-router import/)
})

for (const store of databaseKinds)
  test(`two imports at once create each record once in ${store}`, async (t) => {
    const url = await databases[store](t)
    const names = Array.from({ length: 20 }, (_none, index) => `c${index}`)
    const content = {
      teams: names.map((name) => ({ team_id: name, team_alias: `team-${name}`, models: [] })),
      keys: names.map((name) => ({
        token: createHash('sha256').update(name).digest('hex'),
        key_alias: name,
        team_id: name,
        models: [],
      })),
    }
    const outputs = await Promise.all([
      imported(t, url, 'litellm', content),
      imported(t, url, 'litellm', content),
    ])
    for (const entity of ['groups', 'clients', 'keys'])
      assert.equal(outputs[0].created[entity] + outputs[1].created[entity], names.length, entity)
  })

test('the command line gives a role to any of more than 1,000 clients', async (t) => {
  const url = sqliteUrl(t)
  const names = Array.from({ length: 1_001 }, (_none, index) => `c${String(index).padStart(4, '0')}`)
  const keys = names.map((id) => ({ id, key: `sk-of-the-client-${id}-0123456789` }))
  await imported(t, url, 'keys', { keys })
  const { admin } = await openTeam(t, url)
  const last = names.at(-1) ?? ''
  const code = await keysCommand(['create', last], {
    program: 'llm-router',
    flags: { profiles: false, role: 'admin', url: undefined, force: false },
    env: { LLM_ROUTER_DATABASE_URL: url },
    print: () => undefined,
    printError: () => undefined,
  })
  assert.equal(code, 0)
  assert.equal((await admin('GET', `/clients/${last}`)).body.role, 'admin')
})
