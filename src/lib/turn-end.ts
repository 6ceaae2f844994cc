let waiting: (() => void)[] = []

/**
 * Has `write` called when all that came in with this turn of the event loop has been looked at. What goes out then goes out
 * together: another process is woken once and not for each piece, and the code for writing runs while it is warm. Calls
 * keep their order. `write` must not throw.
 */
export function atTurnEnd(write: () => void): void {
  if (waiting.push(write) === 1) setImmediate(writeWaiting)
}

/** Makes the calls at once; for what ends a connection in the middle of a turn. */
export function writeWaiting(): void {
  const writes = waiting
  waiting = []
  for (const write of writes) write()
}
