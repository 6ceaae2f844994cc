import { createHash } from 'node:crypto'
import type { PlacedProvider } from './models-check.ts'

/** Gives every target its id: the configured one, else one made of model and host. */
export class TargetIds {
  readonly #placeOf = new Map<string, string>()

  /** Call for all providers before the first `idFor`, so that no made id takes a configured one. */
  claim({ provider, place }: PlacedProvider, faults: string[]): void {
    const id = configuredId(provider.id)
    if (id === undefined) return
    const earlier = this.#placeOf.get(id)
    if (earlier === undefined) this.#placeOf.set(id, place)
    else faults.push(`${place}.id: ${JSON.stringify(id)} is also the id of ${earlier}`)
  }

  /**
   * `gemma@3f1c09aa#0`, counting the model's providers on one host: the same after a restart, and whatever other
   * models come and go. The host is there by its digest alone: ids are in logs, addresses are not.
   */
  idFor({ provider, place }: PlacedProvider, alias: string, host: string): string {
    const id = configuredId(provider.id)
    if (id !== undefined) return id
    const digest = createHash('sha256').update(host).digest('hex').slice(0, 8)
    for (let count = 0; ; count++) {
      const made = `${alias}@${digest}#${count}`
      if (this.#placeOf.has(made)) continue
      this.#placeOf.set(made, place)
      return made
    }
  }
}

function configuredId(id: string | number | undefined): string | undefined {
  const text = String(id ?? '').trim()
  return text === '' ? undefined : text
}
