interface Node<T> {
  readonly value: T
  next: Node<T> | undefined
}

/** A first-in, first-out list. Removing the first item of a long array moves all others. */
export class Queue<T> {
  #first: Node<T> | undefined
  #last: Node<T> | undefined
  #length = 0

  get length(): number {
    return this.#length
  }

  get first(): T | undefined {
    return this.#first?.value
  }

  get last(): T | undefined {
    return this.#last?.value
  }

  push(value: T): void {
    const node: Node<T> = { value, next: undefined }
    if (this.#last) this.#last.next = node
    else this.#first = node
    this.#last = node
    this.#length++
  }

  shift(): T | undefined {
    const node = this.#first
    if (!node) return undefined
    this.#first = node.next
    if (!node.next) this.#last = undefined
    this.#length--
    return node.value
  }

  *[Symbol.iterator](): Generator<T> {
    for (let node = this.#first; node; node = node.next) yield node.value
  }
}
