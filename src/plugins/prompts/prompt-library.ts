import { placeholdersIn, renderPrompt } from '../../config/prompt-tree.ts'

export interface PromptEntry {
  /** Path of its file below its directory, with `/`, without `.prompt`. */
  readonly id: string
  /** What the id says, `pl` in `builtin/system/pl/...`; undefined for ids without a language. */
  readonly language: string | undefined
  /** Names of what {@link PromptLibrary.render} fills, without their `##`. */
  readonly placeholders: readonly string[]
  /** Whether it came with the router, and not from the operator's directory. */
  readonly shipped: boolean
}

export interface Prompt extends PromptEntry {
  readonly text: string
}

export interface PromptLibraryOptions {
  /** Texts by id, as {@link readPromptTree} gives them. They stand behind the operator's own. */
  shipped: ReadonlyMap<string, string>
  /** For requests that name none; in any form that `normalLanguage` understands. */
  defaultLanguage: string
  warn: (message: string) => void
}

type Shelf = ReadonlyMap<string, Prompt>

/** Languages come from requests: what has been warned of must not grow for ever. */
const maxWarned = 1000

/**
 * The prompts by id and language: the operator's own before the shipped ones. Ids are looked up among what was read
 * and never joined to a path, so no id leads out of the directories.
 */
export class PromptLibrary {
  /** Fills a prompt's placeholders; see {@link renderPrompt}. */
  readonly render = renderPrompt
  readonly #shipped: Shelf
  readonly #defaultLanguage: string
  readonly #warn: (message: string) => void
  readonly #listeners = new Set<() => void>()
  readonly #warned = new Set<string>()
  #own: Shelf | undefined

  constructor({ shipped, defaultLanguage, warn }: PromptLibraryOptions) {
    this.#shipped = shelfOf(shipped, true)
    this.#defaultLanguage = normalLanguage(defaultLanguage) ?? 'en'
    this.#warn = warn
  }

  /** Puts the operator's prompts in place of the earlier ones, all at once, and tells the listeners. */
  replace(texts: ReadonlyMap<string, string>): void {
    this.#own = shelfOf(texts, false)
    this.#warned.clear()
    for (const listener of this.#listeners) {
      try {
        listener()
      } catch (error) {
        this.#warn(`a listener to the prompts failed: ${error instanceof Error ? error.message : error}`)
      }
    }
  }

  /** Calls `listener` after each change of the prompts; the returned function ends that. */
  onReload(listener: () => void): () => void {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }

  /**
   * The prompt with exactly this id, as a client names it, be it shipped. Where its language is missing, what
   * {@link resolve} finds for that language. Undefined: no language has it.
   */
  find(id: string): Prompt | undefined {
    return this.#own?.get(id) ?? this.#shipped.get(id) ?? this.resolve(id, splitId(id)?.language)
  }

  /**
   * The prompt of this name that suits a language. In `builtin/system/<language>/<name>`, the second last part stands
   * for any language (write `*`); it is replaced by the one asked for, then the default one, then `en`, first among the
   * operator's own prompts, then among the shipped ones; at last by any that there is. Whatever is not there as asked
   * for is warned of once. Undefined: nobody has it. Ids of another form are looked up as they are.
   *
   * `language` as in a request: in any case, with or without a region; blank, null and undefined are the default.
   */
  resolve(id: string, language: string | null | undefined): Prompt | undefined {
    const name = splitId(id)?.name
    if (name === undefined) return this.#own?.get(id) ?? this.#shipped.get(id)
    const wanted = normalLanguage(language) ?? this.#defaultLanguage
    const prompt = this.#nearest(name, [wanted, this.#defaultLanguage, 'en'])
    const asAsked = prompt?.language === wanted && (this.#own === undefined || !prompt.shipped)
    if (prompt && !asAsked) this.#warnOnce(idOf(wanted, name), prompt)
    return prompt
  }

  /** What there is, by id; a shipped prompt only where the operator has none of its id. */
  list(): PromptEntry[] {
    return [...new Map([...this.#shipped, ...(this.#own ?? [])]).values()]
      .map(({ text: _text, ...entry }) => entry)
      .toSorted((a, b) => (a.id < b.id ? -1 : 1))
  }

  #nearest(name: string, languages: readonly string[]): Prompt | undefined {
    const shelves = this.#own ? [this.#own, this.#shipped] : [this.#shipped]
    for (const shelf of shelves) {
      for (const language of languages) {
        const prompt = shelf.get(idOf(language, name))
        if (prompt) return prompt
      }
    }
    return shelves.flatMap((shelf) => [...shelf.values()]).find(({ id }) => splitId(id)?.name === name)
  }

  #warnOnce(missing: string, instead: Prompt): void {
    if (this.#warned.has(missing) || this.#warned.size >= maxWarned) return
    this.#warned.add(missing)
    const origin = instead.shipped ? 'the shipped prompt' : 'prompt'
    this.#warn(`no prompt ${missing}; ${origin} ${instead.id} is used instead`)
  }
}

/**
 * The lower-case primary subtag of a language tag (BCP 47: RFC 5646, section 2.1): `pl` for `pl-PL`, `PL` and
 * `pl_PL.UTF-8`. Undefined for a blank one; `und`, which stands for an undetermined language there, for what is none.
 */
export function normalLanguage(language: string | null | undefined): string | undefined {
  const tag = language?.trim().toLowerCase() ?? ''
  if (tag === '') return undefined
  return /^[a-z]{2,8}(?![a-z0-9])/.exec(tag)?.[0] ?? 'und'
}

function shelfOf(texts: ReadonlyMap<string, string>, shipped: boolean): Shelf {
  return new Map(
    Array.from(texts, ([id, text]) => {
      const placeholders = placeholdersIn(text)
      return [id, { id, language: splitId(id)?.language, text, placeholders, shipped }]
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
