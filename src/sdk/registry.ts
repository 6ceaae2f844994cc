/** Named objects of one kind: dialects, provider types, strategies. Filled at startup, read-only afterwards. */
export class Registry<T extends { readonly name: string }> {
  readonly #kind: string
  readonly #items = new Map<string, T>()

  constructor(kind: string) {
    this.#kind = kind
  }

  /** Throws if the name is empty or in use: extensions must not silently replace each other. */
  add(item: T): void {
    // Extensions may be plain JavaScript, where nothing checks the type of `name`.
    if (typeof item.name !== 'string' || item.name === '') throw new Error(`a ${this.#kind} needs a name`)
    if (this.#items.has(item.name)) throw new Error(`${this.#kind} "${item.name}" is registered twice`)
    this.#items.set(item.name, item)
  }

  find(name: string): T | undefined {
    return this.#items.get(name)
  }

  /** For names that the configuration has already checked; throws if there is none. */
  get(name: string): T {
    const item = this.#items.get(name)
    if (!item) throw new Error(`no ${this.#kind} "${name}"; known: ${this.names().join(', ')}`)
    return item
  }

  names(): string[] {
    return [...this.#items.keys()]
  }
}
