import { randomBytes } from 'node:crypto'
import type { FastifyInstance } from 'fastify'
import { hasSeveralHosts } from '../../../config/settings/settings.ts'
import { openEndedSessions } from '../../../stores/choose.ts'
import { clientAddress } from '../client-address.ts'
import type { Keys } from '../keys-file.ts'
import { createSessions, type EndedSessions, type Sessions } from './sessions.ts'

/** The sessions of this router. Several hosts need a common secret, otherwise sign-in is disabled. */
export async function openSessions(app: FastifyInstance, keys: Keys): Promise<Sessions> {
  const { config } = app
  const own = hasSeveralHosts(config) ? '' : randomBytes(32).toString('hex')
  const secret = config.sessionSecret === '' ? own : config.sessionSecret
  return createSessions({ secret, publicUrl: config.publicUrl, keys, ended: await endedSessions(app) })
}

/** Shared by all processes of this host, and with a database by all hosts. */
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
      // The cookie is removed even if the database is unavailable.
      await directory
        ?.run('endSession', { id, endsAt: Math.ceil(endsAt) }, actor)
        .catch(({ code }) =>
          app.log.warn({ code }, 'the end of a session could not be shared with other hosts'),
        )
    },
  }
}
