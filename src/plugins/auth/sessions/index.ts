import { randomBytes } from 'node:crypto'
import type { FastifyInstance } from 'fastify'
import { hasSeveralHosts } from '../../../config/settings/settings.ts'
import { openEndedSessions } from '../../../stores/choose.ts'
import { clientAddress } from '../client-address.ts'
import type { Keys } from '../keys-file.ts'
import { createSessions, type EndedSessions, type Sessions } from './sessions.ts'

/** The sessions of this router. Without a secret that all hosts have, nobody can sign in. */
export async function openSessions(app: FastifyInstance, keys: Keys): Promise<Sessions> {
  const { config } = app
  const own = hasSeveralHosts(config) ? '' : randomBytes(32).toString('hex')
  const secret = config.sessionSecret === '' ? own : config.sessionSecret
  return createSessions({ secret, publicUrl: config.publicUrl, keys, ended: await endedSessions(app) })
}

/** Known to all processes of this host, and with a database to all hosts. */
async function endedSessions(app: FastifyInstance): Promise<EndedSessions> {
  const table = await openEndedSessions(app)
  const { directory } = app
  let stored = new Set(directory?.snapshot().endedSessions)
  directory?.onChange(({ endedSessions }) => {
    stored = new Set(endedSessions)
  })
  return {
    has: (id) => table.has(id) || stored.has(id),
    async add({ id, endsAt }, request) {
      await table.add({ id, endsAt })
      const actor = {
        id: request.client?.id ?? '',
        source: 'console',
        address: clientAddress(request),
      } as const
      // While the database is away, the cookie is gone all the same.
      await directory
        ?.run('endSession', { id, endsAt: Math.ceil(endsAt) }, actor)
        .catch(({ code }) =>
          app.log.warn({ code }, 'the end of a session could not be shared with other hosts'),
        )
    },
  }
}
