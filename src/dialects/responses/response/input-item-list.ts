import type { JsonObject } from '../../../lib/json/read.ts'
import { badRequest } from '../../../sdk/errors.ts'

export interface ListOptions {
  /** Id of the item after which the page begins. */
  after?: string | undefined
  order?: 'asc' | 'desc' | undefined
  /** 1 to 100. */
  limit?: number | undefined
}

/**
 * A page of the input items of a stored response, newest first unless `order` is `asc`. Source: OpenAI API reference, "List
 * input items". Throws `bad_request` if there is no item with the id `after`.
 */
export function inputItemList(
  responseId: string,
  input: readonly JsonObject[],
  { after, order = 'desc', limit = 20 }: ListOptions,
): JsonObject {
  const items = input.map((item, index) => listedItem(item, `input_${index}_${responseId}`))
  const ordered = order === 'asc' ? items : items.toReversed()
  const start = after === undefined ? 0 : ordered.findIndex(({ id }) => id === after) + 1
  if (after !== undefined && start === 0) throw badRequest('There is no input item with this id', 'after')
  const data = ordered.slice(start, start + limit)
  return {
    object: 'list',
    data,
    first_id: data.at(0)?.id ?? null,
    last_id: data.at(-1)?.id ?? null,
    has_more: start + limit < ordered.length,
  }
}

/** The item in its complete form: clients may omit type and id, and give the content of a message as text. */
function listedItem(item: JsonObject, id: string): JsonObject {
  if ((item.type ?? 'message') !== 'message') return { id, ...item }
  const { role, content } = item
  const type = role === 'assistant' ? 'output_text' : 'input_text'
  return {
    id,
    type: 'message',
    status: 'completed',
    ...item,
    ...(typeof content === 'string' ? { content: [{ type, text: content }] } : {}),
  }
}
