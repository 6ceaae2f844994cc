/** A part of a document with the headings above it. */
export interface Section {
  readonly title: string
  readonly text: string
}

/** The title of a part below these headings, the outermost first. */
export function titleOf(path: readonly string[]): string {
  return path.filter((part) => part).join(' > ')
}
