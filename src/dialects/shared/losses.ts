/** Why a member is reported that no reader looks at. */
export const notTranslated = 'it cannot be translated between dialects'

/** Fields that a reader of requests had to change or drop. */
export class Losses {
  #found: Record<string, string> | undefined

  /** Undefined if there is nothing to report. */
  get found(): Readonly<Record<string, string>> | undefined {
    return this.#found
  }

  readonly add = (field: string, why: string): void => {
    this.#found ??= {}
    this.#found[field] = why
  }
}
