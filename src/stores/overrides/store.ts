import { isObject } from '../../lib/json/read.ts'

/** An operator's override of a target at runtime. The latest override of a property applies. */
export type Override =
  /** Whether the target is drained. */
  | (OverrideOf<'drain'> & { readonly value: boolean })
  /** The target's weight in a model, 0 to 1; null: the configured one. */
  | (OverrideOf<'weight'> & { readonly model: string; readonly value: number | null })
  /** The target's health is reset. */
  | (OverrideOf<'reset'> & { readonly value: null })

interface OverrideOf<Kind extends string> {
  readonly kind: Kind
  /** Id of the target. */
  readonly target: string
  /** Milliseconds since 1970, with a random fraction: overrides that two processes set at once have different times. */
  readonly at: number
  /** Id of the operator's key. */
  readonly by: string
}

/** An override without its time, which the store sets. */
export type NewOverride = Override extends infer Kind
  ? Kind extends Override
    ? Omit<Kind, 'at'>
    : never
  : never

/** Stores overrides, and shares them with the other processes of the router and, with Redis, with other routers. */
export interface OverrideStore {
  /**
   * Applies overrides together: of overrides set in two processes at once, all of one process apply. Resolves when all
   * processes of this host have applied them.
   */
  set(overrides: readonly NewOverride[]): Promise<void>
  /** Whether Redis is configured but unavailable. */
  readonly isDown: boolean
  /** Returns the overrides in effect, the latest of each property. */
  all(): readonly Override[]
  /** Calls `listener` with each override that takes effect, from any process or router. */
  onChange(listener: (override: Override) => void): void
  /** Resolves when the overrides of other processes and routers are known, or cannot be read. */
  started(): Promise<void>
  close(): void
}

/** A reset only concerns running processes; cancelled overrides are kept for routers that were disconnected. */
const resetTtlMs = 60_000
const cancelledTtlMs = 86_400_000

/** The latest override of each property. */
export class Overrides {
  readonly #latest = new Map<string, Override>()

  /** Adds an override. Returns whether it takes effect, because it is later than the previous one. */
  apply(override: Override): boolean {
    const key = keyOf(override)
    const latest = this.#latest.get(key)
    if (latest && !isLater(override, latest)) return false
    this.#latest.set(key, override)
    return true
  }

  /**
   * Sets one time, later than those of the previous overrides, even if another host's clock is ahead. `now`: milliseconds
   * since 1970.
   */
  withTime(overrides: readonly NewOverride[], now: number): Override[] {
    const before = overrides.map((override) => this.#latest.get(keyOf(override))?.at ?? 0)
    const at = Math.max(now, ...before.map((time) => time + 1))
    return overrides.map((override) => ({ ...override, at }))
  }

  all(): readonly Override[] {
    return [...this.#latest.values()]
  }

  prune(now: number): void {
    for (const [key, override] of this.#latest) if (isExpired(override, now)) this.#latest.delete(key)
  }
}

/** Whether an override is no longer needed. */
export function isExpired({ kind, value, at }: Override, now: number): boolean {
  if (kind === 'reset') return now - at > resetTtlMs
  return (value === null || value === false) && now - at > cancelledTtlMs
}

export function keyOf(override: NewOverride): string {
  const { kind, target } = override
  return JSON.stringify(override.kind === 'weight' ? [kind, target, override.model] : [kind, target])
}

/** A total order that is the same in every process, even for equal times. */
function isLater(a: Override, b: Override): boolean {
  return a.at > b.at || (a.at === b.at && serializeOverride(a) > serializeOverride(b))
}

/** Serializes an override canonically, equal in every process. */
export function serializeOverride(override: Override): string {
  return JSON.stringify(override, ['kind', 'target', 'model', 'value', 'at', 'by'])
}

/** Parses an override; undefined for a kind that this version does not know. */
export function parseOverride(text: unknown): Override | undefined {
  let read: unknown
  try {
    read = JSON.parse(String(text))
  } catch {
    return undefined
  }
  if (!isObject(read)) return undefined
  const { kind, target, at, by, model, value } = read
  if (typeof target !== 'string' || typeof at !== 'number' || typeof by !== 'string') return undefined
  const common = { target, at, by }
  if (kind === 'drain' && typeof value === 'boolean') return { kind, ...common, value }
  if (kind === 'reset') return { kind, ...common, value: null }
  const isWeight = value === null || (typeof value === 'number' && value >= 0 && value <= 1)
  if (kind === 'weight' && typeof model === 'string' && isWeight) return { kind, ...common, model, value }
  return undefined
}
