import { EventLoopBudget } from '../../src/lib/event-loop-budget.ts'
import { MaskingRules } from '../../src/processors/masking/masking-rules.ts'
import { builtInKinds } from '../../src/sdk/masked-kinds.ts'
import { corpus, type Labelled } from './corpus.ts'
import { heldOut } from './held-out.ts'

/**
 * Prints precision and recall of the built-in kinds over two corpora of invented sentences in Polish and English: the one that the
 * detectors were developed with, and a held-out one. A match counts if it has the kind and exactly the characters of a label.
 * `--misses` prints false negatives and false positives; `--check` fails if the first corpus is below 95 %.
 */
const seed = 24
const least = 0.95
const rules = new MaskingRules({ off: [], words: {}, expressions: {}, phoneCountries: ['PL', 'US', 'GB'] })

interface Counts {
  right: number
  missed: number
  wrong: number
}

class Judged {
  readonly #ofKind = new Map<string, Counts>()

  of(kind: string): Counts {
    const found = this.#ofKind.get(kind) ?? { right: 0, missed: 0, wrong: 0 }
    this.#ofKind.set(kind, found)
    return found
  }

  get all(): Counts {
    const all = { right: 0, missed: 0, wrong: 0 }
    for (const { right, missed, wrong } of this.#ofKind.values()) {
      all.right += right
      all.missed += missed
      all.wrong += wrong
    }
    return all
  }

  async judge({ text, labels }: Labelled): Promise<void> {
    const found = await rules.find(text, new EventLoopBudget(), { literals: false })
    const isRight = (kind: string, start: number, end: number): boolean =>
      labels.some((label) => label.kind === kind && label.start === start && label.end === end)
    for (const { kind, start, end } of found) {
      if (isRight(kind, start, end)) this.of(kind).right++
      else {
        this.of(kind).wrong++
        miss('false positive', kind, text, text.slice(start, end))
      }
    }
    for (const { kind, start, end } of labels) {
      if (found.some((match) => match.kind === kind && match.start === start && match.end === end)) continue
      this.of(kind).missed++
      miss('false negative', kind, text, text.slice(start, end))
    }
  }
}

function miss(what: string, kind: string, text: string, value: string): void {
  if (process.argv.includes('--misses'))
    console.log(`${what} ${kind}: ${JSON.stringify(value)} in ${JSON.stringify(text)}`)
}

const percent = (part: number, whole: number): string =>
  whole === 0 ? '-' : `${((100 * part) / whole).toFixed(1)} %`

function row(name: string, { right, missed, wrong }: Counts): string {
  return `| ${name} | ${right + missed} | ${percent(right, right + wrong)} | ${percent(right, right + missed)} |`
}

const developed = corpus(seed)
const unseen = heldOut(seed)
const results = { developed: new Judged(), unseen: new Judged() }
const startedAt = performance.now()
for (const sentence of developed) await results.developed.judge(sentence)
const seconds = (performance.now() - startedAt) / 1000
for (const sentence of unseen) await results.unseen.judge(sentence)

const characters = developed.reduce((sum, { text }) => sum + text.length, 0)
console.log(`${developed.length} sentences, ${Math.round(characters / seconds / 1000)} KB/s`)
console.log(`${unseen.length} held-out sentences\n`)
const head = '| Kind | Labels | Precision | Recall |\n|---|---|---|---|'
console.log(head)
for (const kind of builtInKinds) console.log(row(`\`${kind}\``, results.developed.of(kind)))
console.log(row('all', results.developed.all))
console.log(row('all, held out', results.unseen.all))
console.log(`\nHeld out:\n\n${head}`)
for (const kind of builtInKinds) console.log(row(`\`${kind}\``, results.unseen.of(kind)))

const { right, missed, wrong } = results.developed.all
if (process.argv.includes('--check') && (right / (right + wrong) < least || right / (right + missed) < least))
  process.exitCode = 1
