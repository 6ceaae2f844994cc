/** A part of a document with the headings above it. */
export interface Section {
  readonly title: string
  readonly text: string
}

/** Joins headings, outermost first, to the title of a section. */
export function titleOf(path: readonly string[]): string {
  return path.filter((part) => part).join(' > ')
}
