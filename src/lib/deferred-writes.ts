let waiting: (() => void)[] = []

/**
 * Calls `write` after all input of this event loop turn has been processed. Output is then sent
 * together: the receiving process is woken once instead of per chunk, and the code for writing stays warm. Calls
 * keep their order. `write` must not throw.
 */
export function atTurnEnd(write: () => void): void {
  if (waiting.push(write) === 1) setImmediate(writeWaiting)
}

/** Makes the pending calls immediately, for code that ends a connection in the middle of a turn. */
export function writeWaiting(): void {
  const writes = waiting
  waiting = []
  for (const write of writes) write()
}
