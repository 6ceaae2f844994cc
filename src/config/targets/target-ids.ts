import { createHash } from 'node:crypto'
import type { ProviderAtPath } from '../models/check.ts'

/** Assigns every target its id: the configured one, or one derived from model and host. */
export class TargetIds {
  readonly #pathOf = new Map<string, string>()

  /** Call for all providers before the first `idFor`, so that no generated id equals a configured one. */
  claim({ provider, path }: ProviderAtPath, errors: string[]): void {
    const id = configuredId(provider.id)
    if (id === undefined) return
    const earlier = this.#pathOf.get(id)
    if (earlier === undefined) this.#pathOf.set(id, path)
    else errors.push(`${path}.id: ${JSON.stringify(id)} is also the id of ${earlier}`)
  }

  /** `gpu-a/3f1c09aa`, or `gpu-a/` and the name of a pod. Only unique within a model. */
  endpointId({ provider, path, server }: ProviderAtPath, alias: string, endpoint: string): string {
    const name = `${configuredId(provider.id) ?? server?.id}/${endpoint}`
    for (let count = 0; ; count++) {
      const made = count === 0 ? name : `${name}#${count}`
      const key = JSON.stringify([alias, made])
      if (this.#pathOf.has(key)) continue
      this.#pathOf.set(key, path)
      return made
    }
  }

  /**
   * `gemma@3f1c09aa#0`, numbering the model's providers on one host: stable across restarts, whatever other
   * models come and go. Contains only a digest of the host: ids appear in logs, addresses do not. With an entry in
   * `servers`: `gpu-a/gemma`.
   */
  idFor(placed: ProviderAtPath, alias: string, host: string): string {
    const { provider, path, server } = placed
    const id = configuredId(provider.id)
    if (id !== undefined) return id
    const digest = createHash('sha256').update(host).digest('hex').slice(0, 8)
    for (let count = 0; ; count++) {
      const onServer = `${server?.id}/${alias}${count === 0 ? '' : `#${count}`}`
      const made = server ? onServer : `${alias}@${digest}#${count}`
      if (this.#pathOf.has(made)) continue
      this.#pathOf.set(made, path)
      return made
    }
  }
}

function configuredId(id: string | number | undefined): string | undefined {
  const text = String(id ?? '').trim()
  return text === '' ? undefined : text
}
