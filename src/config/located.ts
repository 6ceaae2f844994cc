import { errorPosition, fromTextPosition } from './config-path.ts'
import { readConfigText, syntaxOf } from './config-text.ts'

/** A message about a file, with its position. */
export interface Located {
  message: string
  line: number | null
  column: number | null
}

/** Parses an error of `errorsAtPositions`: `file:line:column: message`, without the file name. */
export function locatedError(error: string, path: string): Located {
  const rest = error.startsWith(`${path}:`) ? error.slice(path.length + 1) : error
  const [, line, column, message = rest] = /^(\d+):(\d+): ?(.*)$/s.exec(rest) ?? []
  return {
    message: message.trim(),
    line: line === undefined ? null : Number(line),
    column: column === undefined ? null : Number(column),
  }
}

/** Adds to warnings about a models-config.json their positions in its text. */
export function locatedWarnings(warnings: readonly string[], text: string, path: string): Located[] {
  if (warnings.length === 0) return []
  const document = readConfigText(text, syntaxOf(path))
  return warnings.map((warning) => {
    const located = fromTextPosition(warning)
    if (located) return { message: located.message, ...located.position }
    const position = document.syntaxError ? undefined : errorPosition(warning, document)
    return { message: warning, line: position?.line ?? null, column: position?.column ?? null }
  })
}
