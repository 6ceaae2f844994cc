/** Hosts and models to remember: far over what a router has at a time, and configurations change for years. */
const mostKept = 10_000

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
    if (this.#used.size > mostKept) this.#forgetHost()
    if (this.#known.size > mostKept) this.#forgetModel()
  }

  leave(host: string, model: string): void {
    const models = this.#running.get(host)
    const left = (models?.get(model) ?? 0) - 1
    if (left > 0) models?.set(model, left)
    else models?.delete(model)
    if (models?.size === 0) this.#running.delete(host)
  }

  /** Lower is better: the last host of the model, one that ran it before, one that ran nothing, idle, the rest. */
  rank(host: string, model: string): number {
    const models = [...(this.#running.get(host)?.keys() ?? [])]
    if (models.some((other) => other !== model)) return 4
    if (this.#last.get(model) === host) return 0
    if (this.#known.get(model)?.has(host)) return 1
    return this.#used.has(host) ? 3 : 2
  }

  /** The one that was first heard of. What is wrongly forgotten is learned anew. */
  #forgetHost(): void {
    const [host = ''] = this.#used
    this.#used.delete(host)
    for (const hosts of this.#known.values()) hosts.delete(host)
  }

  #forgetModel(): void {
    const [model = ''] = this.#known.keys()
    this.#known.delete(model)
    this.#last.delete(model)
  }
}
