import type { UsageRow } from '../../src/stores/database/tables.ts'

/** A row of usage: one successful request of one prompt and one completion token. */
export function usageRow(row: Partial<UsageRow> = {}): UsageRow {
  return {
    period: 0,
    client: 'alice',
    client_key: '',
    model: 'small',
    target: row.model ?? 'small',
    requests: 1,
    errors: 0,
    prompt_tokens: 1,
    cached_tokens: 0,
    completion_tokens: 1,
    reasoning_tokens: 0,
    busy_ms: 1,
    cost: 0,
    ...row,
  }
}
