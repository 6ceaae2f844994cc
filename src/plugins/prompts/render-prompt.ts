/** A placeholder in a prompt. Only capitals, to exclude Markdown headings (`##Role##`). */
const placeholder = /##([A-Z][A-Z0-9_]*)##/g

/** Returns the names of a text's placeholders, without `##` and duplicates, in order. */
export function placeholdersIn(text: string): string[] {
  return [...new Set(Array.from(text.matchAll(placeholder), ([, name = '']) => name))]
}

export interface RenderedPrompt {
  text: string
  /** Names of placeholders without a variable; they are unchanged in `text`. */
  missing: string[]
}

/**
 * Replaces the placeholders `##NAME##` in a prompt in one pass: values are not searched for placeholders, so that text of a
 * client cannot insert another value.
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
