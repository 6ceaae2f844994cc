import { isObject, type JsonObject, objectsIn } from '../../../lib/json/read.ts'
import { responseIdOfItem } from '../response/object.ts'
import { type Remembered, referenceOf } from './input-read.ts'

/** An earlier response with its input items. */
interface Recalled {
  response: JsonObject
  input: JsonObject[]
}

interface RecallStore {
  find(id: string): Promise<Recalled | undefined>
}

/** Loads the stored responses that a request continues or refers to. `body` need not be validated. */
export async function recall(body: unknown, store: RecallStore): Promise<Remembered> {
  if (!isObject(body)) return { history: undefined, referenced: new Map() }
  const { previous_response_id: previous, input } = body
  const [referenced, stored] = await Promise.all([
    recallItems(input, store),
    typeof previous === 'string' ? store.find(previous) : undefined,
  ])
  return { history: stored && [...stored.input, ...outputOf(stored)], referenced }
}

/** A body of 32 MiB can refer to 500,000 responses, and other requests use the same store. */
const maxFindsAtOnce = 64

/** Some clients send items of earlier responses by id only. The id of an item contains that of its response. */
async function recallItems(input: unknown, store: RecallStore): Promise<Remembered['referenced']> {
  const wanted = objectsIn(input).map(referenceOf)
  const ids = [...new Set(wanted.map((id) => id && responseIdOfItem(id)))].filter((id) => id !== undefined)
  const known = ids.filter((id) => id !== '')
  const answers: (Recalled | undefined)[] = []
  for (let at = 0; at < known.length; at += maxFindsAtOnce) {
    const batch = known.slice(at, at + maxFindsAtOnce)
    answers.push(...(await Promise.all(batch.map((id) => store.find(id)))))
  }
  const items = answers.flatMap((stored) => (stored ? outputOf(stored) : []))
  return new Map(items.flatMap((item) => (typeof item.id === 'string' ? [[item.id, item]] : [])))
}

function outputOf({ response }: Recalled): JsonObject[] {
  return Array.isArray(response.output) ? response.output.filter(isObject) : []
}
