/** Which models the hosts run now and ran before: the memory behind `first_available_optim`. */
export class HostUse {
  /** Host to model to leases. */
  readonly #running = new Map<string, Map<string, number>>()
  readonly #used = new Set<string>()
  readonly #known = new Map<string, Set<string>>()
  readonly #last = new Map<string, string>()

  enter(host: string, model: string): void {
    const models = this.#running.get(host) ?? new Map<string, number>()
    models.set(model, (models.get(model) ?? 0) + 1)
    this.#running.set(host, models)
    this.#used.add(host)
    this.#known.set(model, (this.#known.get(model) ?? new Set()).add(host))
    this.#last.set(model, host)
  }

  leave(host: string, model: string): void {
    const models = this.#running.get(host)
    const left = (models?.get(model) ?? 0) - 1
    if (left > 0) models?.set(model, left)
    else models?.delete(model)
  }

  /** Lower is better: the last host of the model, one that ran it before, one that ran nothing, idle, the rest. */
  rank(host: string, model: string): number {
    const models = [...(this.#running.get(host)?.keys() ?? [])]
    if (models.some((other) => other !== model)) return 4
    if (this.#last.get(model) === host) return 0
    if (this.#known.get(model)?.has(host)) return 1
    return this.#used.has(host) ? 3 : 2
  }
}
