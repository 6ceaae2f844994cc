import type { KeyLimits } from '../../sdk/client-key.ts'

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
  /**
   * What is left of the limits that there are, after this request and without what others have reserved, and the
   * milliseconds until all of it is back.
   */
  readonly requests?: { readonly left: number; readonly fullInMs: number }
  readonly tokens?: { readonly left: number; readonly fullInMs: number }
}

/** What an admitted request is about to take, which shows in its body. */
export interface LimitDemand extends LimitWish {
  /** Tokens of its prompts and answers, estimated. */
  readonly tokens: number
  /** Upstream requests that it becomes, at least 1: one was counted when it was admitted. */
  readonly requests: number
  /** How many of them would run at a time, at least 1. */
  readonly slots: number
}

export interface LimitReservation extends LimitVerdict {
  /** How many of its upstream requests may run at a time: as many of those that it wanted as were free, but 1 at least. */
  readonly slots: number
}

export interface LimitEnd extends LimitWish {
  /** What the request took. More than there was left delays the requests after it. */
  readonly tokens: number
  /** How many upstream requests it became, where that is fewer than were reserved. */
  readonly requests?: number
  /** It was not let in after all: as if it had never come. */
  readonly undone?: boolean
}

/**
 * Counts what keys use, for all processes that share it. Atomic: the comparison with all limits of a key and the taking of
 * a place or of a reservation. Both are given back when their process dies, within the store's own bound; what the requests
 * of such a process took is not counted, because nobody knows it.
 */
export interface LimitStore {
  /** Takes a place for a request, or says why there is none; what is refused counts for nothing. */
  admit(wish: LimitWish): Promise<LimitVerdict>
  /**
   * Sets tokens, requests and slots aside for an admitted request until it leaves, or says why it cannot; it then must
   * leave, undone. More tokens than the limit can ever hold are set aside when nothing else is and nothing is owed.
   */
  reserve(demand: LimitDemand): Promise<LimitReservation>
  /** Gives back the place and what was set aside, and counts the tokens. A second time changes nothing but the tokens. */
  leave(end: LimitEnd): Promise<void>
  close(): Promise<void>
}

/** Requests are counted in a window that slides, in milliseconds. */
export const limitWindowMs = 60_000
