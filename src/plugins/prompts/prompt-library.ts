import { placeholdersIn, renderPrompt } from './render-prompt.ts'

export interface PromptEntry {
  /** File path relative to its directory, with `/` and without `.prompt`. */
  readonly id: string
  /** Language in the id, such as `pl` in `builtin/system/pl/...`; undefined for ids without one. */
  readonly language: string | undefined
  /** Names of the placeholders that {@link PromptLibrary.render} replaces, without `##`. */
  readonly placeholders: readonly string[]
  /** Whether it came with the router, also where the operator's directory has the same text. */
  readonly shipped: boolean
}

export interface Prompt extends PromptEntry {
  readonly text: string
}

export interface PromptLibraryOptions {
  /** Texts by id, as {@link readPromptTree} returns them. The operator's prompts take precedence. */
  shipped: ReadonlyMap<string, string>
  /** For requests that name no language; any form that `normalLanguage` accepts. */
  defaultLanguage: string
  warn: (message: string) => void
}

type PromptsById = ReadonlyMap<string, Prompt>

/** Limits the memory for warnings, because languages come from requests. */
const maxWarned = 1000

/**
 * Prompts by id and language; the operator's take precedence over the shipped ones. Ids are looked up among the loaded
 * prompts and never joined to a path, so no id can escape the directories.
 */
export class PromptLibrary {
  /** Replaces a prompt's placeholders; see {@link renderPrompt}. */
  readonly render = renderPrompt
  readonly #shipped: PromptsById
  readonly #defaultLanguage: string
  readonly #warn: (message: string) => void
  readonly #listeners = new Set<() => void>()
  readonly #warned = new Set<string>()
  #own: PromptsById | undefined

  constructor({ shipped, defaultLanguage, warn }: PromptLibraryOptions) {
    this.#shipped = promptsById(shipped, shipped)
    this.#defaultLanguage = normalLanguage(defaultLanguage) ?? 'en'
    this.#warn = warn
  }

  /** Replaces all of the operator's prompts atomically and calls the listeners. */
  replace(texts: ReadonlyMap<string, string>): void {
    const shipped = new Map(Array.from(this.#shipped, ([id, { text }]) => [id, text]))
    this.#own = promptsById(texts, shipped)
    this.#warned.clear()
    for (const listener of this.#listeners) {
      try {
        listener()
      } catch (error) {
        this.#warn(`a listener for prompt changes failed: ${error instanceof Error ? error.message : error}`)
      }
    }
  }

  /** Calls `listener` after each change of the prompts; the returned function removes it. */
  onReload(listener: () => void): () => void {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }

  /**
   * Finds the prompt with exactly this id, including shipped ones. If it does not exist in its language, falls back as
   * {@link resolve} does. Undefined if it exists in no language.
   */
  find(id: string): Prompt | undefined {
    return this.#own?.get(id) ?? this.#shipped.get(id) ?? this.resolve(id, splitId(id)?.language)
  }

  /**
   * Finds the best prompt of this name for a language. In `builtin/system/<language>/<name>`, the language part is
   * ignored (write `*`) and replaced by the requested language, then the default language, then `en`; first among the
   * operator's prompts, then among the shipped ones, and finally by any language available. Each fallback is logged
   * once. Undefined if there is no prompt of this name. Ids of any other form are looked up unchanged.
   *
   * `language` as sent in a request: case-insensitive, with or without region; blank, null and undefined select the
   * default.
   */
  resolve(id: string, language: string | null | undefined): Prompt | undefined {
    const name = splitId(id)?.name
    if (name === undefined) return this.#own?.get(id) ?? this.#shipped.get(id)
    const wanted = normalLanguage(language) ?? this.#defaultLanguage
    const prompt = this.#nearest(name, [wanted, this.#defaultLanguage, 'en'])
    const isExactMatch =
      prompt?.language === wanted && (this.#own === undefined || this.#own.get(prompt.id) === prompt)
    if (prompt && !isExactMatch) this.#warnOnce(idOf(wanted, name), prompt)
    return prompt
  }

  /** All prompts, sorted by id; a shipped prompt is omitted if the operator has one with its id. */
  list(): PromptEntry[] {
    return [...new Map([...this.#shipped, ...(this.#own ?? [])]).values()]
      .map(({ text: _text, ...entry }) => entry)
      .toSorted((a, b) => (a.id < b.id ? -1 : 1))
  }

  #nearest(name: string, languages: readonly string[]): Prompt | undefined {
    const libraries = this.#own ? [this.#own, this.#shipped] : [this.#shipped]
    for (const library of libraries) {
      for (const language of languages) {
        const prompt = library.get(idOf(language, name))
        if (prompt) return prompt
      }
    }
    return libraries.flatMap((library) => [...library.values()]).find(({ id }) => splitId(id)?.name === name)
  }

  #warnOnce(missing: string, instead: Prompt): void {
    if (this.#warned.has(missing) || this.#warned.size >= maxWarned) return
    this.#warned.add(missing)
    const origin = instead.shipped ? 'the shipped prompt' : 'prompt'
    this.#warn(`no prompt ${missing}; ${origin} ${instead.id} is used instead`)
  }
}

/**
 * Lower-case primary subtag of a language tag (BCP 47: RFC 5646, section 2.1): `pl` for `pl-PL`, `PL` and
 * `pl_PL.UTF-8`. Undefined for a blank tag; `und` (undetermined) for an invalid one.
 */
export function normalLanguage(language: string | null | undefined): string | undefined {
  const tag = language?.trim().toLowerCase() ?? ''
  if (tag === '') return undefined
  return /^[a-z]{2,8}(?![a-z0-9])/.exec(tag)?.[0] ?? 'und'
}

function promptsById(texts: ReadonlyMap<string, string>, shipped: ReadonlyMap<string, string>): PromptsById {
  return new Map(
    Array.from(texts, ([id, text]) => {
      const placeholders = placeholdersIn(text)
      return [
        id,
        { id, language: splitId(id)?.language, text, placeholders, shipped: shipped.get(id) === text },
      ]
    }),
  )
}

function splitId(id: string): { language: string; name: string } | undefined {
  const [, language, name] = /^builtin\/system\/([^/]+)\/(.+)$/s.exec(id) ?? []
  return language === undefined || name === undefined ? undefined : { language, name }
}

function idOf(language: string, name: string): string {
  return `builtin/system/${language}/${name}`
}
