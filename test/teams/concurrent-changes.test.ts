import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { databaseKinds, databases } from './databases.ts'
import { type Answer, shareTeam, type TeamRouter } from './team-router.ts'

/** Each race is repeated, because its outcome depends on timing. */
const rounds = Array.from({ length: 8 }, (_none, round) => round)
const sortedStatuses = (answers: readonly Answer[]) => answers.map(({ status }) => status).toSorted()

for (const store of databaseKinds)
  describe(`concurrent changes through two routers with ${store}`, () => {
    const team = shareTeam(databases[store])
    const other = shareTeam(() => team.url)
    const { admin } = team
    /** Sends all requests at once, alternately through both routers. */
    const together = (requests: readonly Parameters<TeamRouter['admin']>[]): Promise<Answer[]> =>
      Promise.all(requests.map((each, index) => (index % 2 ? other : team).admin(...each)))

    test('a group is either removed or has new clients', async () => {
      for (const round of rounds) {
        const group = `removed-${round}`
        await admin('POST', '/groups', { id: group })
        const clients = ['a', 'b', 'c', 'd'].map((name) => ({ id: `${name}-${round}`, group }))
        const [first, second, ...created] = await together([
          ['DELETE', `/groups/${group}`],
          ['DELETE', `/groups/${group}`],
          ...clients.map((client): Parameters<TeamRouter['admin']> => ['POST', '/clients', client]),
        ])
        assert.ok(first && second)
        const isRemoved = (await admin('GET', `/groups/${group}`)).status === 404
        assert.deepEqual(sortedStatuses([first, second]), isRemoved ? [204, 404] : [409, 409])
        const members = (await admin('GET', `/clients?group=${group}`)).body.data
        assert.equal(members.length, created.filter(({ status }) => status === 201).length)
        assert.ok(created.every(({ status }) => status === 201 || (isRemoved && status === 400)))
        assert.equal(isRemoved, members.length === 0)
      }
    })

    test('groups have two levels', async () => {
      for (const round of rounds) {
        const [a, b] = [`upper-${round}`, `lower-${round}`]
        await together([a, b].map((id) => ['POST', '/groups', { id }]))
        const answers = await together([
          ['PATCH', `/groups/${a}`, { parent: b }],
          ['PATCH', `/groups/${b}`, { parent: a }],
        ])
        assert.deepEqual(sortedStatuses(answers), [200, 400])
      }
    })

    test('a key that one operator ends at once is not extended by the overlap of another', async () => {
      for (const round of rounds) {
        const client = `rotated-${round}`
        await admin('POST', '/clients', { id: client })
        const { id } = (await admin('POST', `/clients/${client}/keys`, {})).body
        const answers = await together([
          ['POST', `/keys/${id}/rotate`, { overlap_seconds: 0 }],
          ['POST', `/keys/${id}/rotate`, { overlap_seconds: 3_600 }],
        ])
        const keys: { id: string; expires_at: string | null }[] = (
          await admin('GET', `/keys?client=${client}`)
        ).body.data
        assert.ok(Date.parse(keys.find((key) => key.id === id)?.expires_at ?? '') <= Date.now())
        assert.equal(keys.length, 1 + answers.filter(({ status }) => status === 201).length)
      }
    })

    test('no change of a record is lost', async () => {
      const fields = ['max_concurrent', 'requests_per_minute', 'tokens_per_minute', 'max_tokens']
      for (const round of rounds) {
        const client = `changed-${round}`
        await admin('POST', '/clients', { id: client })
        const answers = await together(
          [...fields, ...fields].map((field) => ['PATCH', `/clients/${client}`, { [field]: 7 }]),
        )
        assert.deepEqual(new Set(sortedStatuses(answers)), new Set([200]))
        const { body } = await admin('GET', `/clients/${client}`)
        assert.deepEqual(
          fields.map((field) => body[field]),
          fields.map(() => 7),
        )
      }
    })

    test('a client that is removed keeps no key', async () => {
      for (const round of rounds) {
        const client = `gone-${round}`
        await admin('POST', '/clients', { id: client })
        const [removed, ...created] = await together([
          ['DELETE', `/clients/${client}`],
          ...['a', 'b', 'c'].map(
            (description): Parameters<TeamRouter['admin']> => [
              'POST',
              `/clients/${client}/keys`,
              { description },
            ],
          ),
        ])
        assert.equal(removed?.status, 204)
        for (const { status } of created) assert.ok(status === 201 || status === 404, String(status))
        assert.deepEqual((await admin('GET', `/keys?client=${client}`)).body.data, [])
      }
    })

    test('the audit log has each change once, in order', async () => {
      const client = 'audited'
      await admin('POST', '/clients', { id: client })
      const { id } = (await admin('POST', `/clients/${client}/keys`, {})).body
      await together(rounds.map((round) => ['PATCH', `/clients/${client}`, { description: `d${round}` }]))
      await together(rounds.map(() => ['POST', `/keys/${id}/revoke`]))
      const { data } = (await admin('GET', '/audit?limit=1000')).body
      const entries: { entity_id: string; action: string; before: string; after: string }[] =
        data.toReversed()
      const changes = entries.filter(({ entity_id }) => entity_id === client)
      assert.equal(changes.length, 1 + rounds.length)
      assert.deepEqual(
        changes.slice(1).map((change) => change.before),
        changes.slice(0, -1).map((change) => change.after),
      )
      const ends = entries.filter(({ entity_id, action }) => entity_id === id && action === 'revoke')
      assert.equal(ends.length, 1)
    })
  })
