import assert from 'node:assert/strict'
import { setTimeout as delay } from 'node:timers/promises'

type Falsy = false | null | undefined

const limitMs = 45_000

/**
 * Asks until the answer is neither false, null nor undefined, and returns it: for conditions that no event reports. The pauses grow from 1 to 50 ms, and the
 * limit is only a guard against a hang.
 */
export async function eventually<T>(ask: () => T | Falsy | Promise<T | Falsy>): Promise<T> {
  const endsAt = performance.now() + limitMs
  for (let pauseMs = 1; ; pauseMs = Math.min(2 * pauseMs, 50)) {
    const answer = await ask()
    if (answer !== false && answer !== null && answer !== undefined) return answer
    assert.ok(performance.now() < endsAt, `not true within ${limitMs} ms: ${ask}`)
    await delay(pauseMs)
  }
}
