import type { FastifyInstance } from 'fastify'
import type { ClientKey } from '../../sdk/client-key.ts'
import { digestOf } from './rules.ts'

/** Changes with the permissions of a client, but not with its key or limits. */
export function permissionsRevision(client: ClientKey): string {
  const { enabled, surfaces, models, group, role, maxTokens, choosesCanary } = client
  return digestOf([enabled, [...surfaces].sort(), models, group, role, maxTokens, choosesCanary])
}

/** Reports each client that was removed or disabled, or whose permissions changed, so that its entries are deleted. */
export function followClients(app: FastifyInstance, onChanged: (client: string) => void): void {
  if (!app.config.authEnabled) return
  let known: ReadonlyMap<string, string> = new Map()
  const compare = (): void => {
    const before = known
    const enabled = app.keys.clients().filter((client) => client.enabled)
    known = new Map(enabled.map((client) => [client.id, permissionsRevision(client)]))
    for (const [id, revision] of before) if (known.get(id) !== revision) onChanged(id)
  }
  app.addHook('onReady', (done) => {
    compare()
    done()
  })
  app.reload.onChange(compare)
  app.directory?.onChange(compare)
}
