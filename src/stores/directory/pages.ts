import type { ListInput, Page } from './commands.ts'

interface Pageable<Row> {
  where(column: 'id', operator: '>', value: string): Pageable<Row>
  limit(count: number): { execute(): Promise<Row[]> }
}

/** Runs a query that is ordered by id, and returns one page. */
export async function pageOf<Row extends { id: string }, Item>(
  query: unknown,
  { cursor, limit }: ListInput,
  read: (row: Row) => Item,
): Promise<Page<Item>> {
  const rows = query as Pageable<Row> // Kysely's builders for different tables have no common type
  const from = cursor === undefined ? rows : rows.where('id', '>', cursor)
  return pageFrom(await from.limit(limit + 1).execute(), limit, read)
}

/** Returns a page of `limit` rows. `found` has one more row if another page follows. */
export function pageFrom<Row extends { id: string }, Item>(
  found: readonly Row[],
  limit: number,
  read: (row: Row) => Item,
): Page<Item> {
  const rows = found.slice(0, limit)
  const last = rows.at(-1)
  return { data: rows.map(read), ...(found.length > limit && last ? { next_cursor: last.id } : {}) }
}
