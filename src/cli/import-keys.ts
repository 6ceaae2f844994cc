import type { LoadedKeys } from '../config/client-keys/load.ts'
import { present } from '../lib/json/read.ts'
import type { ClientKey } from '../sdk/client-key.ts'
import type { ClientRecord } from '../sdk/teams/directory.ts'
import type { Imported } from './imported.ts'

/** Converts the clients of a keys file. Disabled keys of enabled clients are omitted. */
export function fromKeys({ clients, entries, warnings }: LoadedKeys): Imported {
  const entriesOf = Map.groupBy(entries, ({ client: { id } }) => id)
  return {
    groups: [],
    budgets: [],
    notes: [...warnings],
    clients: clients.map((client) => ({
      id: client.id,
      record: recordOf(client),
      keys: (entriesOf.get(client.id) ?? [])
        .filter((entry) => entry.client.enabled || !client.enabled)
        .map(({ client: { keyId, expiresAt }, sha256 }) => ({
          sha256: sha256.toString('hex'),
          description: keyId,
          endsAt: expiresAt === client.expiresAt ? undefined : expiresAt,
        })),
    })),
  }
}

function recordOf(client: ClientKey): ClientRecord {
  return present({
    enabled: client.enabled ? undefined : false,
    models: client.models && [...client.models],
    surfaces: [...client.surfaces],
    role: client.role,
    priority: client.priority,
    weight: client.weight,
    priority_header: client.choosesPriority ? true : undefined,
    canary_header: client.choosesCanary ? true : undefined,
    max_concurrent: client.limits?.concurrent,
    requests_per_minute: client.limits?.requests,
    tokens_per_minute: client.limits?.tokens,
    max_tokens: client.maxTokens,
    expires_at: client.expiresAt === undefined ? undefined : new Date(client.expiresAt).toISOString(),
  })
}
