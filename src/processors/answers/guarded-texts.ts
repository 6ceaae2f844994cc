import { GuardedText, type Job } from './guarded-text.ts'
import { hasPassed } from './held-event.ts'
import { maxWindowMs } from './windows.ts'

/**
 * The texts of a streamed response by their channels. A response may have tens of thousands, such as the arguments of calls, so
 * an event visits only those that it may change.
 */
export class GuardedTexts {
  readonly #all = new Map<string, GuardedText>()
  /** Those that have not ended. */
  readonly #open = new Map<string, GuardedText>()
  /** The open ones of each group. */
  readonly #groups = new Map<string, Map<string, GuardedText>>()
  /** Those that are or will be judged before they end, and those that have ended and not passed. */
  readonly #waiting = new Map<string, GuardedText>()

  get(channel: string): GuardedText | undefined {
    return this.#all.get(channel)
  }

  /** Whether any text was changed. */
  get areChanged(): boolean {
    return [...this.#all.values()].some(({ isChanged }) => isChanged)
  }

  /** The text of a channel, which begins or continues. */
  begin(channel: string, isWhole: boolean, group?: string): GuardedText {
    const text = this.#all.get(channel) ?? new GuardedText(isWhole)
    this.#all.set(channel, text)
    this.#open.set(channel, text)
    if (!text.isWhole) this.#waiting.set(channel, text)
    if (group === undefined) return text
    const members = this.#groups.get(group) ?? new Map<string, GuardedText>()
    this.#groups.set(group, members.set(channel, text))
    return text
  }

  /** Ends the texts whose channels begin with one of these. */
  end(beginnings: readonly string[]): void {
    if (beginnings.length === 0) return
    for (const [channel, text] of this.#open)
      if (beginnings.some((beginning) => channel.startsWith(beginning))) this.#end(channel, text)
  }

  /** Ends the texts of these groups, except those of the channels in `except`. */
  endGroups(groups: Iterable<string>, except: ReadonlySet<string>): void {
    for (const group of groups) {
      const members = this.#groups.get(group)
      for (const [channel, text] of members ?? []) {
        if (except.has(channel)) continue
        members?.delete(channel)
        this.#end(channel, text)
      }
    }
  }

  /** When an unfinished text must be judged; undefined if none waits. */
  get dueAt(): number | undefined {
    let first: number | undefined
    for (const { isWhole, waitsSince } of this.#waiting.values())
      if (!isWhole && waitsSince !== undefined) first = Math.min(first ?? waitsSince, waitsSince)
    return first === undefined ? undefined : first + maxWindowMs
  }

  /** Passages that can be judged now. */
  *jobs(now: number): Generator<Job> {
    for (const text of this.#waiting.values())
      yield* text.jobs(now, text.waitsSince !== undefined && now >= text.waitsSince + maxWindowMs)
  }

  /** The texts that have ended and passed since the last call. */
  *finished(): Generator<GuardedText> {
    for (const [channel, text] of this.#waiting) {
      if (!text.isEnded || !hasPassed(text)) continue
      this.#waiting.delete(channel)
      yield text
    }
  }

  #end(channel: string, text: GuardedText): void {
    text.isEnded = true
    this.#open.delete(channel)
    this.#waiting.set(channel, text)
  }
}
