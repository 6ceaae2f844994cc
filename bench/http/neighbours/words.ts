import type { BenchCase } from '../cases.ts'
import { bodyFor, type MeasuredProxy } from '../stage.ts'

/**
 * Rejects unless one response through this proxy has the same text as through the other. The load checks only the end of a
 * response, and one with a missing part would seem cheap.
 */
export async function expectSameWords(
  proxy: MeasuredProxy,
  other: MeasuredProxy,
  benchCase: BenchCase,
): Promise<void> {
  const [words, expected] = [await wordsOf(proxy, benchCase), await wordsOf(other, benchCase)]
  if (words !== expected) {
    throw new Error(`answers with ${words.length} letters of ${expected.length}: ${proxy.name}`)
  }
}

async function wordsOf(proxy: MeasuredProxy, benchCase: BenchCase): Promise<string> {
  const { upstream, path } = benchCase
  const response = await fetch(`http://127.0.0.1:${proxy.portOf(upstream)}${path}`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...proxy.headersFor?.(upstream) },
    body: bodyFor(proxy, benchCase),
  })
  const text = await response.text()
  if (!response.ok) throw new Error(`answers ${response.status}: ${proxy.name}, ${text.slice(0, 200)}`)
  return Array.from(text.matchAll(/"content": *"([^"]*)"/g), ([, words]) => words).join('')
}
