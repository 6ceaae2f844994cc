/**
 * Whether the database rejected a value, so that the same statement would fail again. PostgreSQL: classes of SQLSTATE
 * (appendix "PostgreSQL Error Codes") for cardinality (21), data (22), constraints (23), and limits such as the length of an
 * indexed value (54). SQLite: the codes of sqlite.ts.
 */
export function isRejectedValue(error: unknown): boolean {
  const { code } = Object(error)
  return (
    typeof code === 'string' &&
    /^(?:2[123]|54)[0-9A-Z]{3}$|^SQLITE_(?:TOOBIG|CONSTRAINT|MISMATCH)$/.test(code)
  )
}
