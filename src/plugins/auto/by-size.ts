import { type AutoModelEntry, type Intent, intents } from '../../config/auto/schema.ts'

/** Words and phrases that indicate an intent, in English and Polish. */
const intentWords: Readonly<Record<Intent, readonly string[]>> = {
  code: [
    'code',
    'function',
    'bug',
    'debug',
    'compile',
    'refactor',
    'regex',
    'sql',
    'python',
    'javascript',
    'typescript',
    'java',
    'rust',
    'bash',
    'api',
    'script',
    'stack trace',
    'unit test',
    'pull request',
    'class',
    'algorithm',
    'kod',
    'funkcję',
    'skrypt',
    'błąd w kodzie',
    'zapytanie sql',
    'algorytm',
    'test jednostkowy',
    'zaimplementuj',
  ],
  math: [
    'calculate',
    'solve',
    'equation',
    'integral',
    'derivative',
    'proof',
    'theorem',
    'probability',
    'matrix',
    'prove that',
    'how many',
    'oblicz',
    'rozwiąż',
    'równanie',
    'całkę',
    'pochodną',
    'udowodnij',
    'dowód',
    'twierdzenie',
    'prawdopodobieństwo',
    'macierz',
    'ile wynosi',
  ],
  creative: [
    'story',
    'poem',
    'lyrics',
    'haiku',
    'novel',
    'slogan',
    'joke',
    'write a story',
    'once upon a time',
    'opowiadanie',
    'wiersz',
    'bajkę',
    'żart',
    'piosenkę',
    'hasło reklamowe',
    'napisz wiersz',
  ],
  general: [
    'hello',
    'hi',
    'thanks',
    'thank you',
    'who is',
    'what is',
    'translate',
    'summarize',
    'weather',
    'cześć',
    'dzień dobry',
    'dziękuję',
    'kto to',
    'co to jest',
    'przetłumacz',
    'streść',
    'pogoda',
  ],
}

/** Patterns of code and formulas. Each weighs as much as several words. */
const intentPatterns: Readonly<Partial<Record<Intent, readonly RegExp[]>>> = {
  code: [
    /```/,
    /\bdef \w+\(/,
    /\bfunction\s*\w*\(/,
    /[;{]\s*$/m,
    /\b(?:SELECT|INSERT|UPDATE)\b.*\b(?:FROM|INTO|SET)\b/,
  ],
  math: [/\d\s*[+*/^=]\s*\d/, /\\(?:frac|int|sum)\b/, /[∫∑√≤≥≠]/],
}

const patternWeight = 3
const defaultThresholds = [25, 150] as const

export interface SizeChoice {
  /** Index into the models, ordered from small to large. */
  readonly index: number
  readonly intent: Intent | undefined
  readonly tokens: number
}

/** Chooses by the size and the intent of a text. `count`: number of models, ordered from small to large. */
export function chosenBySize(
  text: string,
  { thresholds, words }: NonNullable<AutoModelEntry['by_size']>,
  count: number,
): SizeChoice {
  const tokens = Math.round((text.match(/\S+/g)?.length ?? 0) * 1.25)
  const [middleFrom = defaultThresholds[0], largeFrom = defaultThresholds[1]] = thresholds ?? []
  const last = count - 1
  const middle = Math.floor(last / 2)
  const bySize = tokens >= largeFrom ? last : tokens >= middleFrom ? middle : 0
  const intent = intentOf(text, words ?? {})
  switch (intent) {
    case 'code':
    case 'math':
      // Rounded up, so that of two models the larger one is chosen.
      return { index: Math.max(bySize, Math.ceil(last / 2)), intent, tokens }
    case 'creative':
    case 'general':
      return { index: 0, intent, tokens }
    case undefined:
      return { index: Math.max(0, bySize - 1), intent, tokens }
  }
}

type OwnWords = NonNullable<NonNullable<AutoModelEntry['by_size']>['words']>

function intentOf(text: string, own: OwnWords): Intent | undefined {
  const words = ` ${
    text
      .toLowerCase()
      .match(/[\p{L}\p{N}+#]+/gu)
      ?.join(' ') ?? ''
  } `
  let best: Intent | undefined
  let most = 0
  for (const intent of intents) {
    const further: readonly string[] = own[intent] ?? []
    const score =
      [...intentWords[intent], ...further].reduce((sum, phrase) => sum + weightIn(words, phrase), 0) +
      (intentPatterns[intent] ?? []).filter((sign) => sign.test(text)).length * patternWeight
    if (score > most) [best, most] = [intent, score]
  }
  return best
}

/** A phrase weighs twice as much as a word, unless it specifies its weight, as in `deploy:3`. */
function weightIn(words: string, entry: string): number {
  const [, phrase = '', weight] = /^(.*?)(?::(\d+(?:\.\d+)?))?$/s.exec(entry) ?? []
  const phraseWords = phrase.toLowerCase().match(/[\p{L}\p{N}+#]+/gu) ?? []
  if (phraseWords.length === 0 || !words.includes(` ${phraseWords.join(' ')} `)) return 0
  return weight === undefined ? Math.min(2, phraseWords.length) : Number(weight)
}
