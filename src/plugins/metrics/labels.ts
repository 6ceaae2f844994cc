import type { RouterError } from '../../sdk/errors.ts'
import { allTargets, type Model } from '../../sdk/target.ts'

/** Upper bounds in seconds, up to ten minutes: model responses take that long. */
export const durationBuckets = [
  0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600,
]

const methods = new Set(['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS'])

/** Limits the label to common methods: Node accepts over thirty, and a client can send any of them. */
export function methodLabel(method: string): string {
  return methods.has(method) ? method : 'other'
}

/** Maps an error to one of a few label values; an upstream's message must never become a label. */
export function reasonOf({ kind, code, causeCode }: RouterError): string {
  if (code === 'upstream_unreachable') return 'connection_error'
  if (code === 'upstream_auth') return 'auth'
  if (code === 'upstream_truncated') return 'truncated'
  if (code === 'lease_lost') return code
  switch (kind) {
    case 'upstream_timeout':
      return 'timeout'
    case 'overloaded':
      return code === 'queue_full' || code === 'queue_timeout' || code === 'no_healthy_provider' ? code : kind
    case 'upstream_error':
      return reasonOfCause(causeCode ?? '')
    default:
      return kind
  }
}

function reasonOfCause(cause: string): string {
  if (cause === 'INVALID_ANSWER' || cause === 'LINE_TOO_LONG' || cause.startsWith('BAD_'))
    return 'invalid_answer'
  // Error codes of system sockets and of undici.
  if (/^(?:E[A-Z]+|UND_ERR_\w+|\w*SocketError)$/.test(cause)) return 'connection_error'
  return 'server_error'
}

/** Maximum number of labelled targets of a server with one target per address; the rest are `other`. */
const namedPerServer = 200

/** Labels of targets. Pods come and go, so a label is reused once its target is gone. */
export class TargetLabels {
  readonly #named = new Map<string, Set<string>>()
  #present: ReadonlySet<string> = new Set()
  #serverOf: ReadonlyMap<string, string> = new Map()

  of({ server, id }: { server?: string | undefined; id: string }): string {
    return server === undefined || this.#named.get(server)?.has(id) ? id : 'other'
  }

  /** Label of a configured target. */
  ofId(id: string | undefined): string {
    return id !== undefined && this.#present.has(id)
      ? this.of({ id, server: this.#serverOf.get(id) })
      : 'other'
  }

  update(models: readonly Model[]): void {
    const targets = models.flatMap((model) => allTargets(model))
    this.#present = new Set(targets.map(({ id }) => id))
    this.#serverOf = new Map(
      targets.flatMap(({ id, server }) => (server === undefined ? [] : [[id, server]])),
    )
    const byServer = Map.groupBy(targets, ({ server }) => server ?? '')
    for (const server of this.#named.keys()) if (!byServer.has(server)) this.#named.delete(server)
    for (const [server, list] of byServer) {
      const ids = new Set(list.map(({ id }) => id))
      const known = [...(this.#named.get(server) ?? [])].filter((id) => ids.has(id))
      this.#named.set(server, new Set([...new Set([...known, ...ids])].slice(0, namedPerServer)))
    }
  }
}

/** Merges samples with the same labels, such as those of all other targets. */
export function* merged(
  samples: Iterable<{ labels: Record<string, string | number>; value: number }>,
  how: 'sum' | 'average',
): Generator<{ labels: Record<string, string | number>; value: number }> {
  const others = new Map<string, { labels: Record<string, string | number>; values: number[] }>()
  for (const sample of samples) {
    if (sample.labels.target !== 'other') {
      yield sample
      continue
    }
    const key = JSON.stringify(Object.values(sample.labels))
    const same = others.get(key) ?? { labels: sample.labels, values: [] }
    same.values.push(sample.value)
    others.set(key, same)
  }
  for (const { labels, values } of others.values()) {
    const sum = values.reduce((total, value) => total + value, 0)
    yield { labels, value: how === 'sum' ? sum : sum / values.length }
  }
}
