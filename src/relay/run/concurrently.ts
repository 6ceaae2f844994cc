import { RouterError } from '../../sdk/errors.ts'

/**
 * Works on several items at once, `limit` at most, and gives the results in the order of the items. The first failure
 * cancels the others and is thrown when none of them is under way any more.
 */
export async function sideBySide<Item, Result>(
  items: readonly Item[],
  options: { limit: number; signal: AbortSignal },
  work: (item: Item, signal: AbortSignal) => Promise<Result>,
): Promise<Result[]> {
  const controller = new AbortController()
  const signal = AbortSignal.any([options.signal, controller.signal])
  const results: Result[] = []
  const failures: unknown[] = []
  const queue = items.entries()
  const worker = async (): Promise<void> => {
    for (const [index, item] of queue) {
      if (failures.length > 0) return
      try {
        results[index] = await work(item, signal)
      } catch (error) {
        failures.push(error)
        // To the target it is as if the client had left: nothing that would count against it.
        controller.abort(new RouterError('client_gone', 'Another part of the request failed'))
      }
    }
  }
  await Promise.all(Array.from({ length: Math.min(options.limit, items.length) }, worker))
  if (failures.length > 0) throw failures[0]
  return results
}
