import type { ListInput, Page } from './commands.ts'

interface Pageable<Row> {
  where(column: 'id', operator: '>', value: string): Pageable<Row>
  limit(count: number): { execute(): Promise<Row[]> }
}

/** One page of a query that is ordered by id. */
export async function pageOf<Row extends { id: string }, Item>(
  query: unknown,
  { cursor, limit }: ListInput,
  read: (row: Row) => Item,
): Promise<Page<Item>> {
  const rows = query as Pageable<Row> // Kysely's builders of several tables have no type in common
  const from = cursor === undefined ? rows : rows.where('id', '>', cursor)
  return pageFrom(await from.limit(limit + 1).execute(), limit, read)
}

/** One page of the rows found, of which there is one more if another page follows. */
export function pageFrom<Row extends { id: string }, Item>(
  found: readonly Row[],
  limit: number,
  read: (row: Row) => Item,
): Page<Item> {
  const shown = found.slice(0, limit)
  const last = shown.at(-1)
  return { data: shown.map(read), ...(found.length > limit && last ? { next_cursor: last.id } : {}) }
}
