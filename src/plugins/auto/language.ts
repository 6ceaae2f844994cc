/** Words that are frequent in one language and rare in others, by ISO 639-1 code. */
const frequent: Readonly<Record<string, readonly string[]>> = {
  en: 'the and is are of to in that it what how this with for you write please can does was have'.split(' '),
  pl: 'i w na z się nie jest to że do jak co czy dla po od oraz proszę napisz który są ten mi'.split(' '),
  de: 'der die das und ist nicht ein eine zu mit den von wie was für auf ich bitte schreibe sich'.split(' '),
  fr: 'le la les et est un une des que pour dans avec qui je pas ce comment quel écris sur'.split(' '),
  es: 'el la los las y es un una que por para con qué cómo del se en escribe su lo'.split(' '),
  it: 'il lo gli e è un una che per con non come cosa di del della sono scrivi mi si'.split(' '),
  pt: 'o a os as e é um uma que para com não como do da em escreva você se por'.split(' '),
  nl: 'de het een en is van dat niet met voor hoe wat zijn op ik schrijf je aan te er'.split(' '),
  cs: 'a je se na že to v z co jak jsou pro ale být který napiš prosím by jsem si'.split(' '),
}

/** Letters that only some languages use, with those languages. */
const letters: readonly (readonly [RegExp, readonly string[]])[] = [
  [/[ąęłńśźż]/gu, ['pl']],
  [/[ěřů]/gu, ['cs']],
  [/ß/gu, ['de']],
  [/[ñ¿¡]/gu, ['es']],
  [/[ãõ]/gu, ['pt']],
  [/[äöü]/gu, ['de']],
  [/[êîûœ]/gu, ['fr']],
]

/** Scripts that imply a language. Kana precedes Han, because Japanese uses both. */
const scripts: readonly (readonly [RegExp, string])[] = [
  [/[\p{Script=Hiragana}\p{Script=Katakana}]/gu, 'ja'],
  [/\p{Script=Hangul}/gu, 'ko'],
  [/\p{Script=Han}/gu, 'zh'],
  [/[іїєґ]/giu, 'uk'],
  [/\p{Script=Cyrillic}/gu, 'ru'],
  [/\p{Script=Greek}/gu, 'el'],
  [/\p{Script=Arabic}/gu, 'ar'],
  [/\p{Script=Hebrew}/gu, 'he'],
  [/\p{Script=Thai}/gu, 'th'],
  [/\p{Script=Devanagari}/gu, 'hi'],
]

/** Maximum number of characters examined. */
const maxLength = 4_000

/** Guesses the language of a text as an ISO 639-1 code; undefined if the text is too short or the language is unknown. */
export function languageOf(text: string): string | undefined {
  const sample = text.slice(0, maxLength).toLowerCase()
  const all = countOf(sample, /\p{L}/gu)
  if (all === 0) return undefined
  for (const [script, language] of scripts) {
    // A few letters of a script among many others are a quotation.
    const least = language === 'uk' ? 0.01 : 0.2
    if (countOf(sample, script) / all > least) return language
  }
  const scores = new Map<string, number>()
  const add = (language: string, score: number): void =>
    void scores.set(language, (scores.get(language) ?? 0) + score)
  const words = sample.match(/\p{L}+/gu) ?? []
  for (const [language, known] of Object.entries(frequent))
    for (const word of words) if (known.includes(word)) add(language, 1)
  for (const [expression, languages] of letters)
    for (const language of languages) add(language, countOf(sample, expression))
  const [best, second] = [...scores].toSorted(([, a], [, b]) => b - a)
  if (!best || best[1] === 0 || best[1] === second?.[1]) return undefined
  return best[0]
}

function countOf(text: string, expression: RegExp): number {
  return text.match(expression)?.length ?? 0
}
