import type { JsonObject } from '../../lib/json/read.ts'
import type { JsonNode } from '../../lib/json/tree.ts'
import type { StreamContents } from '../../sdk/content.ts'
import type { Frame } from './framing.ts'
import type { GuardedText } from './guarded-text.ts'

/** A part of a streamed text, in the event that carries it. */
export interface Piece {
  readonly text: GuardedText
  /** Range in the text, in UTF-16 units. */
  readonly start: number
  readonly end: number
  readonly node: JsonNode
}

/** A value that an event carries complete. */
export interface WholeValue {
  readonly node: JsonNode
  /** Undefined: nothing in it is judged. An empty `text`: not judged yet. */
  readonly judged: { text: string } | undefined
}

/** An event of a stream, held until everything in it has passed. */
export interface HeldEvent {
  readonly frame: Frame
  readonly event: JsonObject | undefined
  readonly bytes: Buffer
  readonly root: JsonNode | undefined
  readonly pieces: readonly Piece[]
  /** Texts that begin with this event. */
  readonly startedTexts: readonly GuardedText[]
  readonly contents: ReturnType<StreamContents['read']> | undefined
  /** Undefined until the events before it have passed. */
  wholes: WholeValue[] | undefined
}

/** Whether all of a text has passed. A text that is judged as a whole must also have ended. */
export function hasPassed(text: GuardedText): boolean {
  return text.passed >= text.raw.length && (!text.isWhole || text.isEnded)
}
