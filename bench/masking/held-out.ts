import { readFileSync } from 'node:fs'
import { builtInKinds } from '../../src/sdk/masked-kinds.ts'
import { seededRandom } from '../support/seeded-random.ts'
import type { Labelled } from './corpus.ts'
import { heldOutValues } from './held-out-values.ts'
import { digits, letters } from './values.ts'

/**
 * Sentences that no detector was tuned on, one on each line of `held-out.txt`. `{KIND}` is a value of that kind, `§` a random digit,
 * `¤` a random hexadecimal digit, and `\n` a line break. To keep the result meaningful, change a detector for a sentence of this file
 * only where it has a plain bug.
 */
export function heldOut(seed: number): Labelled[] {
  const random = seededRandom(seed)
  const lines = readFileSync(new URL('held-out.txt', import.meta.url), 'utf8')
    .trimEnd()
    .split('\n')
  return lines.map((line) => {
    const sentence: Labelled = { text: '', labels: [] }
    for (const part of line.replaceAll('\\n', '\n').split(/(\{[A-Z]+\})/)) {
      const kind = builtInKinds.find((each) => part === `{${each}}`)
      const start = sentence.text.length
      sentence.text += kind
        ? heldOutValues[kind](random)
        : part
            .replaceAll('§', () => digits(random, 1))
            .replaceAll('¤', () => letters(random, 1, '0123456789abcdef'))
      if (kind) sentence.labels.push({ kind, start, end: sentence.text.length })
    }
    return sentence
  })
}
