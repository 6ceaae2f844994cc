/** The last items that were added, up to a number. */
export class Recent<T> {
  readonly #most: number
  readonly #items: T[] = []
  #oldest = 0

  constructor(most: number) {
    this.#most = most
  }

  add(item: T): void {
    if (this.#items.length < this.#most) {
      this.#items.push(item)
      return
    }
    this.#items[this.#oldest] = item
    this.#oldest = (this.#oldest + 1) % this.#most
  }

  /** A copy, oldest first. */
  list(): T[] {
    return [...this.#items.slice(this.#oldest), ...this.#items.slice(0, this.#oldest)]
  }
}
