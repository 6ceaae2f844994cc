import { isObject, type JsonObject, textOf } from '../../lib/json/read.ts'

/** What the router remembers of earlier answers, for one request. */
export interface Remembered {
  /** Input and output items of the turns before, oldest first; undefined where none were asked for. */
  history: readonly JsonObject[] | undefined
  /** The items that the input refers to by id, as far as they are known. */
  referenced: ReadonlyMap<string, JsonObject>
}

export interface PlacedItem {
  item: JsonObject
  /** Where the client's body has it. */
  place: string
}

/** The items that a request stands for, those of earlier turns first. A text is one message of the user. */
export function inputItems(input: unknown, remembered?: Remembered): PlacedItem[] {
  const earlier = remembered?.history?.map((item) => ({ item, place: 'previous_response_id' })) ?? []
  return [...earlier, ...ownItems(input, remembered?.referenced)]
}

/** The id that an `item_reference` names; its `type` may be left out. */
export function referenceOf(item: JsonObject): string | undefined {
  const bare = (item.type === undefined || item.type === null) && item.role === undefined
  return item.type === 'item_reference' || bare ? textOf(item.id) : undefined
}

function ownItems(input: unknown, referenced: Remembered['referenced'] | undefined): PlacedItem[] {
  if (typeof input === 'string') {
    const content = [{ type: 'input_text', text: input }]
    return [{ item: { type: 'message', role: 'user', content }, place: 'input' }]
  }
  const sent: unknown[] = Array.isArray(input) ? input : []
  return sent.filter(isObject).map((item, index) => {
    const id = referenceOf(item)
    return { item: (id !== undefined && referenced?.get(id)) || item, place: `input[${index}]` }
  })
}
