import { createHash } from 'node:crypto'
import type { ProviderAtPath } from '../models/check.ts'

/** Assigns ids to targets: the configured ones, or ones derived from model and host. */
export class TargetIds {
  readonly #pathOf = new Map<string, string>()

  /** To be called for all providers before the first `idFor`, so that no generated id equals a configured one. */
  claim({ provider, path }: ProviderAtPath, errors: string[]): void {
    const id = configuredId(provider.id)
    if (id === undefined) return
    const earlier = this.#pathOf.get(id)
    if (earlier === undefined) this.#pathOf.set(id, path)
    else errors.push(`${path}.id: ${JSON.stringify(id)} is also the id of ${earlier}`)
  }

  /** Returns an id such as `gpu-a/3f1c09aa`, or `gpu-a/` and the name of a pod. Only unique within a model. */
  endpointId({ provider, path, server }: ProviderAtPath, alias: string, endpoint: string): string {
    const name = `${configuredId(provider.id) ?? server?.id}/${endpoint}`
    for (let count = 0; ; count++) {
      const id = count === 0 ? name : `${name}#${count}`
      const key = JSON.stringify([alias, id])
      if (this.#pathOf.has(key)) continue
      this.#pathOf.set(key, path)
      return id
    }
  }

  /**
   * Returns an id such as `gemma@3f1c09aa#0`, which numbers the providers of a model on one host, or `gpu-a/gemma` for a server
   * in `servers`. Stable across restarts and changes of other models. Contains only a digest of the host, because ids are
   * logged.
   */
  idFor(entry: ProviderAtPath, alias: string, host: string): string {
    const { provider, path, server } = entry
    const configured = configuredId(provider.id)
    if (configured !== undefined) return configured
    const digest = createHash('sha256').update(host).digest('hex').slice(0, 8)
    for (let count = 0; ; count++) {
      const onServer = `${server?.id}/${alias}${count === 0 ? '' : `#${count}`}`
      const id = server ? onServer : `${alias}@${digest}#${count}`
      if (this.#pathOf.has(id)) continue
      this.#pathOf.set(id, path)
      return id
    }
  }
}

function configuredId(id: string | number | undefined): string | undefined {
  const text = String(id ?? '').trim()
  return text === '' ? undefined : text
}
