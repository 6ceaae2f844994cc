import type { KeyLimits } from './client-key.ts'

export type Limited = 'concurrent' | 'requests' | 'tokens'

/** One request of one key. */
export interface LimitWish {
  /** Id of the key. */
  readonly key: string
  /** Names the request; no other one of any process has the same. */
  readonly ticket: string
  readonly limits: KeyLimits
}

export interface LimitVerdict {
  /** Undefined: the request may go on, and holds its place until `leave`. */
  readonly refusedBy: Limited | undefined
  /** Milliseconds until a refused request may come again; of `concurrent` nobody knows. */
  readonly waitMs: number
  /** What is left of the limits that there are, after this request, and the milliseconds until all of it is back. */
  readonly requests?: { readonly left: number; readonly fullInMs: number }
  readonly tokens?: { readonly left: number; readonly fullInMs: number }
}

export interface LimitEnd extends LimitWish {
  /** What the request took. More than there was left delays the requests after it. */
  readonly tokens: number
  /** It was not let in after all: as if it had never come. */
  readonly undone?: boolean
}

/**
 * Counts what keys use, for all processes that share it. Atomic: the comparison with all limits of a key and the taking of
 * a place. The place of a process that dies is given back within the store's own bound.
 */
export interface LimitStore {
  /** Takes a place for a request, or says why there is none; what is refused counts for nothing. */
  admit(wish: LimitWish): Promise<LimitVerdict>
  /** Gives the place back and counts the tokens. A second time changes nothing but the tokens. */
  leave(end: LimitEnd): Promise<void>
  close(): Promise<void>
}

/** Requests are counted in a window that slides, in milliseconds. */
export const limitWindowMs = 60_000
