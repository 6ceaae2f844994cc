/** What is told, with what belongs to it. */
type RareWarning = (text: string, facts: Record<string, unknown>) => void

/**
 * Tells each text at most once a minute, with how often it was not told since (`repeated`): a collector may be away for days.
 */
export function rareWarning(
  warn: (facts: Record<string, unknown>, text: string) => void,
  now: () => number,
  intervalMs = 60_000,
): RareWarning {
  const told = new Map<string, { at: number; since: number }>()
  return (text, facts) => {
    const before = told.get(text)
    if (before && now() - before.at < intervalMs) {
      before.since++
      return
    }
    told.set(text, { at: now(), since: 0 })
    warn({ ...facts, ...(before && before.since > 0 ? { repeated: before.since } : {}) }, text)
  }
}
