/**
 * Formats a table as CSV (RFC 4180) with a header. Strings that a spreadsheet would evaluate as a formula are prefixed with an
 * apostrophe (OWASP, "CSV Injection"); numbers are not.
 */
export function csvOf(
  columns: readonly string[],
  rows: readonly Readonly<Record<string, unknown>>[],
): string {
  const lines = rows.map((row) => columns.map((column) => field(row[column])).join(','))
  return [columns.map(field).join(','), ...lines].map((line) => `${line}\r\n`).join('')
}

function field(value: unknown): string {
  if (typeof value === 'number') return String(value)
  const text = value === undefined || value === null ? '' : String(value)
  const safe = /^\s*[=+\-@\t\r\n]/.test(text) ? `'${text}` : text
  return /[",\r\n]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe
}
