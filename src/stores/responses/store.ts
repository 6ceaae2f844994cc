/** A response of the Responses API, with all that the next turn needs to continue it. */
export interface StoredResponse {
  /** The whole `response` object, as `GET /v1/responses/{id}` gives it. */
  response: Record<string, unknown>
  /** The input items that it answers, those of the turns before included, oldest first. */
  input: Record<string, unknown>[]
}

/**
 * Keeps responses for `previous_response_id`. Bounded: a response may be gone at any time, and is certainly gone after the
 * store's time to live. What `find` returns is the caller's own copy. Each operation is atomic for its id; `keep` has
 * happened when its promise is fulfilled. Rejects only when the store itself cannot be reached.
 */
export interface ResponseStore {
  /** Undefined when there is none, or none any more. A find counts as a use; it does not prolong the time to live. */
  find(id: string): Promise<StoredResponse | undefined>
  /** Replaces what has the same id. */
  keep(id: string, stored: StoredResponse): Promise<void>
  /** Whether there was one. */
  remove(id: string): Promise<boolean>
  close(): Promise<void>
}
