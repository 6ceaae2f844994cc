import { EventLoopBudget } from '../../src/lib/yield-to-event-loop.ts'
import { MaskingRules } from '../../src/processors/masking/masking-rules.ts'
import { builtInKinds } from '../../src/sdk/masked-kinds.ts'
import { corpus, type Labelled } from './corpus.ts'

/**
 * Prints precision and recall of the built-in kinds over a corpus of made-up sentences in Polish and English. A finding is right if it
 * has the kind and exactly the characters of a label. `--misses` prints what was missed and what was found in vain; `--check` fails
 * under 95 %.
 */
const seed = 24
const sentences = corpus(seed)
const rules = new MaskingRules({ off: [], words: {}, expressions: {}, phoneCountries: ['PL', 'US', 'GB'] })

const counts = new Map<string, { right: number; missed: number; wrong: number }>()
const of = (kind: string) => {
  const found = counts.get(kind) ?? { right: 0, missed: 0, wrong: 0 }
  counts.set(kind, found)
  return found
}

const startedAt = performance.now()
let characters = 0
for (const sentence of sentences) await judge(sentence)
const seconds = (performance.now() - startedAt) / 1000

async function judge({ text, labels }: Labelled): Promise<void> {
  characters += text.length
  const found = await rules.find(text, new EventLoopBudget(), { literals: false })
  const isRight = (kind: string, start: number, end: number): boolean =>
    labels.some((label) => label.kind === kind && label.start === start && label.end === end)
  for (const { kind, start, end } of found) {
    if (isRight(kind, start, end)) of(kind).right++
    else {
      of(kind).wrong++
      miss('in vain', kind, text, text.slice(start, end))
    }
  }
  for (const { kind, start, end } of labels) {
    if (found.some((match) => match.kind === kind && match.start === start && match.end === end)) continue
    of(kind).missed++
    miss('missed', kind, text, text.slice(start, end))
  }
}

function miss(what: string, kind: string, text: string, value: string): void {
  if (process.argv.includes('--misses'))
    console.log(`${what} ${kind}: ${JSON.stringify(value)} in ${JSON.stringify(text)}`)
}

const percent = (part: number, whole: number): string =>
  whole === 0 ? '-' : `${((100 * part) / whole).toFixed(1)} %`

let all = { right: 0, missed: 0, wrong: 0 }
console.log(`${sentences.length} sentences, ${Math.round(characters / seconds / 1000)} KB/s\n`)
console.log('| Kind | Labels | Precision | Recall |\n|---|---|---|---|')
for (const kind of builtInKinds) {
  const { right, missed, wrong } = of(kind)
  all = { right: all.right + right, missed: all.missed + missed, wrong: all.wrong + wrong }
  console.log(
    `| \`${kind}\` | ${right + missed} | ${percent(right, right + wrong)} | ${percent(right, right + missed)} |`,
  )
}
const { right, missed, wrong } = all
console.log(
  `| all | ${right + missed} | ${percent(right, right + wrong)} | ${percent(right, right + missed)} |`,
)
if (process.argv.includes('--check') && (right / (right + wrong) < 0.95 || right / (right + missed) < 0.95))
  process.exitCode = 1
