export type ItemPrefix = 'msg' | 'rs' | 'fc' | 'ctc'

/** Id of an answer whose random part is `id`. */
export function responseId(id: string): string {
  return `resp_${id}`
}

/** Id of the item at `index` of that answer: the same in every event, and it tells the answer it belongs to. */
export function itemId(prefix: ItemPrefix, id: string, index: number): string {
  return `${prefix}_${id}_${index}`
}

/** The answer that an item of ours belongs to; undefined for an id that this router did not make. */
export function responseIdOfItem(item: string): string | undefined {
  const id = /^(?:msg|rs|fc|ctc)_(\w+)_\d+$/.exec(item)?.[1]
  return id === undefined ? undefined : responseId(id)
}
