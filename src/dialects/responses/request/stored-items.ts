import { isObject, type JsonObject, objectsIn } from '../../../lib/json/read.ts'
import { responseIdOfItem } from '../response/object.ts'
import { referenceOf, type StoredItems } from './input-read.ts'

/** An earlier response with its input items. */
interface StoredResponse {
  response: JsonObject
  input: JsonObject[]
}

interface ResponseFinder {
  /** `heldBy`: set if a server stores the response, and its items are therefore unknown. */
  find(id: string): Promise<(StoredResponse & { heldBy?: object }) | undefined>
}

/** Loads the stored responses that a request continues or refers to. `body` need not be validated. */
export async function loadStoredItems(body: unknown, store: ResponseFinder): Promise<StoredItems> {
  if (!isObject(body)) return { history: undefined, referenced: new Map() }
  const { previous_response_id: previous, input } = body
  const [referenced, stored] = await Promise.all([
    loadReferencedItems(input, store),
    typeof previous === 'string' ? store.find(previous) : undefined,
  ])
  const history = stored && !stored.heldBy ? [...stored.input, ...outputOf(stored)] : undefined
  return { history, referenced }
}

/** A body of 32 MiB can refer to 500,000 responses, and other requests use the same store. */
const maxFindsAtOnce = 64

/** Some clients send items of earlier responses by id only. The id of an item contains that of its response. */
async function loadReferencedItems(
  input: unknown,
  store: ResponseFinder,
): Promise<StoredItems['referenced']> {
  const references = objectsIn(input).map(referenceOf)
  const ids = [...new Set(references.map((id) => id && responseIdOfItem(id)))].filter(
    (id) => id !== undefined,
  )
  const responseIds = ids.filter((id) => id !== '')
  const responses: (StoredResponse | undefined)[] = []
  for (let at = 0; at < responseIds.length; at += maxFindsAtOnce) {
    const batch = responseIds.slice(at, at + maxFindsAtOnce)
    responses.push(...(await Promise.all(batch.map((id) => store.find(id)))))
  }
  const items = responses.flatMap((stored) => (stored ? outputOf(stored) : []))
  return new Map(items.flatMap((item) => (typeof item.id === 'string' ? [[item.id, item]] : [])))
}

function outputOf({ response }: StoredResponse): JsonObject[] {
  return Array.isArray(response.output) ? response.output.filter(isObject) : []
}
