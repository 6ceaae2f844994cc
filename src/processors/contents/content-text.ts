/** A piece of content of a request. */
export interface ContentText {
  readonly text: string
  /** Pieces of the same run form one text for the reader. */
  readonly run: number
  /** Whether it belongs to a system prompt. */
  readonly isSystem: boolean
  /** Path of members and indexes in the body. */
  readonly path: string
}
