/**
 * Formats rows as lines with aligned columns: the first one to the left, the others as `align` says. All rows have as many cells
 * as the first one.
 */
export function formatTable(rows: readonly (readonly string[])[], align: 'left' | 'right' = 'left'): string {
  const [head = []] = rows
  const widths = head.map((_cell, column) => Math.max(...rows.map((row) => row[column]?.length ?? 0)))
  const lines = rows.map((row) => {
    const cells = row.map((cell, column) => {
      const width = widths[column] ?? 0
      return column === 0 || align === 'left' ? cell.padEnd(width) : cell.padStart(width)
    })
    return `${cells.join('  ').trimEnd()}\n`
  })
  return lines.join('')
}
