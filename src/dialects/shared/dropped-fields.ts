/** The reason reported for a member that its dialect's reader does not know. */
export const notTranslated = 'it cannot be translated between dialects'

/** The fields of a request that its reader dropped or changed, each with the reason. */
export class DroppedFields {
  #reasons: Record<string, string> | undefined

  /** By field; undefined if there is nothing to report. */
  get reasons(): Readonly<Record<string, string>> | undefined {
    return this.#reasons
  }

  readonly add = (field: string, why: string): void => {
    this.#reasons ??= {}
    this.#reasons[field] = why
  }
}
