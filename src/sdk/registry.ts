/** Named objects of one kind: dialects, provider types, strategies. Filled at startup, read-only afterwards. */
export class Registry<T extends { readonly name: string }> {
  readonly #kind: string
  readonly #errorsOf: (item: T) => readonly string[]
  readonly #items = new Map<string, T>()

  /** `errorsOf`: returns the errors of an item that is added. Extensions may be plain JavaScript, which no compiler checks. */
  constructor(kind: string, errorsOf: (item: T) => readonly string[] = () => []) {
    this.#kind = kind
    this.#errorsOf = errorsOf
  }

  /** Throws if the item is invalid, or its name in use: extensions must not silently replace each other. */
  add(item: T): void {
    const name: unknown = item?.name
    if (typeof name !== 'string' || name === '') throw new Error(`a ${this.#kind} needs a name`)
    if (this.#items.has(name)) throw new Error(`${this.#kind} "${name}" is registered twice`)
    const errors = this.#errorsOf(item)
    if (errors.length > 0) throw new Error(`${this.#kind} "${name}": ${errors.join('; ')}`)
    this.#items.set(name, item)
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
