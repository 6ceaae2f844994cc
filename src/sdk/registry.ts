/** Named things of one kind: dialects, provider types, strategies. Filled at start, read afterwards. */
export class Registry<T extends { readonly name: string }> {
  readonly #kind: string
  readonly #items = new Map<string, T>()

  constructor(kind: string) {
    this.#kind = kind
  }

  /** Throws if the name is empty or in use: two extensions must not silently shadow each other. */
  add(item: T): void {
    // Extensions may be plain JavaScript.
    if (typeof item.name !== 'string' || item.name === '') throw new Error(`a ${this.#kind} needs a name`)
    if (this.#items.has(item.name)) throw new Error(`${this.#kind} "${item.name}" is registered twice`)
    this.#items.set(item.name, item)
  }

  find(name: string): T | undefined {
    return this.#items.get(name)
  }

  /** For names that the configuration has already checked. */
  get(name: string): T {
    const item = this.#items.get(name)
    if (!item) throw new Error(`no ${this.#kind} "${name}"; known: ${this.names().join(', ')}`)
    return item
  }

  names(): string[] {
    return [...this.#items.keys()]
  }
}
