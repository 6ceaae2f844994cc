/** Like `list.push(...items)`, which throws a RangeError for more than about 120,000 items. */
export function append<Item>(list: Item[], items: Iterable<Item>): void {
  for (const item of items) list.push(item)
}
