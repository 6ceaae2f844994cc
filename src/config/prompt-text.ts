/** A placeholder of a prompt file. Capitals only, so that a Markdown heading (`##Role##`) is none. */
const placeholder = /##([A-Z][A-Z0-9_]*)##/g

/** The names of a text's placeholders, without their `##`, each once, in the order of the text. */
export function placeholdersIn(text: string): string[] {
  return [...new Set(Array.from(text.matchAll(placeholder), ([, name = '']) => name))]
}

export interface RenderedPrompt {
  text: string
  /** Names of placeholders that no variable filled; they stand in `text` as they were. */
  missing: string[]
}

/**
 * Fills the placeholders `##NAME##` of a prompt. One pass over the prompt alone: what a value holds is never looked
 * at again, so text from a client cannot fill another placeholder.
 */
export function renderPrompt(text: string, variables: Readonly<Record<string, string>>): RenderedPrompt {
  const missing = new Set<string>()
  const rendered = text.replace(placeholder, (whole, name: string) => {
    const value = Object.hasOwn(variables, name) ? variables[name] : undefined
    if (value === undefined) missing.add(name)
    return value ?? whole
  })
  return { text: rendered, missing: [...missing] }
}

/**
 * What stands for `##QUESTION_NUM_STR##`: a count with its noun, in the language of the prompt (not of the request:
 * the two differ where a prompt is missing). Languages without a form of their own get the English one.
 */
export function questionCount(count: number, language: string | undefined): string {
  return language === 'pl' ? `${count} ${polishQuestions(count)}` : `${count} question(s)`
}

/** Polish plural forms, see Unicode CLDR, language plural rules: 1; 2 to 4 but not 12 to 14; the rest. */
function polishQuestions(count: number): string {
  switch (new Intl.PluralRules('pl').select(count)) {
    case 'one':
      return 'pytanie'
    case 'many':
      return 'pytań'
    default:
      return 'pytania'
  }
}
