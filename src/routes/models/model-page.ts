import { badRequest } from '../../sdk/errors.ts'

/** Part of a list, by Anthropic's parameters: https://docs.anthropic.com/en/api/models-list. */
export interface ModelPage<T> {
  items: readonly T[]
  /** Whether there are more in the direction of the request. */
  hasMore: boolean
}

/**
 * The items after or before the one that the client names, at most `limit` of them. Without a limit all are given: the
 * list is short, and clients of other dialects get it whole too. Throws `bad_request` for a place that is not in the
 * list, because to begin anew would send a client round for ever.
 */
export function modelPage<T extends { readonly alias: string }>(
  all: readonly T[],
  query: Readonly<Record<string, unknown>>,
): ModelPage<T> {
  const { after_id: after, before_id: before } = query
  const limit = limitOf(query.limit) ?? all.length
  if (after !== undefined) {
    const rest = all.slice(placeOf(all, after, 'after_id') + 1)
    return { items: rest.slice(0, limit), hasMore: rest.length > limit }
  }
  if (before !== undefined) {
    const rest = all.slice(0, placeOf(all, before, 'before_id'))
    return { items: rest.slice(Math.max(0, rest.length - limit)), hasMore: rest.length > limit }
  }
  return { items: all.slice(0, limit), hasMore: all.length > limit }
}

function limitOf(value: unknown): number | undefined {
  if (value === undefined) return undefined
  const limit = typeof value === 'string' && /^\d{1,4}$/.test(value) ? Number(value) : 0
  if (limit < 1 || limit > 1_000) throw badRequest("'limit' must be an integer from 1 to 1000", 'limit')
  return limit
}

function placeOf(all: readonly { readonly alias: string }[], id: unknown, param: string): number {
  const place = all.findIndex(({ alias }) => alias === id)
  if (place === -1) throw badRequest(`'${param}' must be the id of a model in the list`, param)
  return place
}
