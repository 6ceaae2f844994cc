/** A piece of content of a request, where it stands, and which pieces it is one text with. */
export interface ContentText {
  readonly text: string
  /** Pieces of one run are one text to who reads them. */
  readonly run: number
  /** Whether it is the operator's or the developer's: a system prompt. */
  readonly isSystem: boolean
  /** Members and positions that lead to it. */
  readonly path: string
}
