import { type BuiltInKind, builtInKinds } from '../../src/sdk/masked-kinds.ts'
import { seededRandom } from '../support/seeded-random.ts'
import { carriers, negatives } from './carriers.ts'
import { digits, pick, type Random, values } from './values.ts'

export interface Labelled {
  text: string
  labels: { kind: BuiltInKind; start: number; end: number }[]
}

const openers = [
  '',
  '',
  '',
  'Dzień dobry. ',
  'Witam, ',
  'Hej! ',
  'Jeszcze jedno: ',
  'PS. ',
  '- ',
  '> ',
  '1) ',
  'Hello. ',
  'Hi, ',
  'One more thing: ',
  'As agreed: ',
  'FYI ',
  '* ',
]
const closers = [
  '',
  '',
  '',
  ' Dziękuję.',
  ' Pozdrawiam',
  '\nZ góry dziękuję za pomoc.',
  ' Czy to możliwe?',
  ' Thanks.',
  ' Best regards',
  '\nCould you check that?',
  ' Is that possible?',
  ' (urgent)',
]

const perKind = 130
const withoutValues = 600

/** Sentences with values, some with two, and sentences that only seem to contain some. */
export function corpus(seed: number): Labelled[] {
  const random = seededRandom(seed)
  const positive = builtInKinds.flatMap((kind) =>
    Array.from({ length: perKind }, (_, index) =>
      index % 5 === 0
        ? joined(random, sentence(random, kind), sentence(random, pick(random, builtInKinds)))
        : sentence(random, kind),
    ),
  )
  const negative = Array.from({ length: withoutValues }, (): Labelled => {
    const filled = pick(random, negatives).replaceAll('#', () => digits(random, 1))
    return { text: pick(random, openers) + filled + pick(random, closers), labels: [] }
  })
  return [...positive, ...negative]
}

function sentence(random: Random, kind: BuiltInKind): Labelled {
  const [before = '', after = ''] = pick(random, carriers[kind]).split('{}')
  const value = values[kind](random)
  const head = pick(random, openers) + before
  return {
    text: head + value + after + pick(random, closers),
    labels: [{ kind, start: head.length, end: head.length + value.length }],
  }
}

function joined(random: Random, first: Labelled, second: Labelled): Labelled {
  const head = first.text + pick(random, ['\n', ' ', '\n\n', ' | '])
  const moved = second.labels.map(({ kind, start, end }) => ({
    kind,
    start: start + head.length,
    end: end + head.length,
  }))
  return { text: head + second.text, labels: [...first.labels, ...moved] }
}
