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
  /** Milliseconds since 1970. */
  readonly at: number
  /** Id of the operator's key. */
  readonly by: string
}

/** Without its time, which the store sets. */
export type NewOverride = Override extends infer Each
  ? Each extends Override
    ? Omit<Each, 'at'>
    : never
  : never

/** Stores overrides, and shares them with the other processes of the router and, with Redis, with other routers. */
export interface OverrideStore {
  /** Resolves when all processes of this host have applied it. */
  set(override: NewOverride): Promise<void>
  /** Whether Redis is configured but unavailable. */
  readonly isAway: boolean
  /** Overrides in effect, the latest of each property. */
  all(): readonly Override[]
  /** Calls back with each override that takes effect, whatever its origin. Once per process. */
  onChange(listener: (override: Override) => void): void
  /** Resolves when the overrides of others are known or unavailable. */
  started(): Promise<void>
  close(): void
}

/** A reset concerns only running processes; removed overrides are kept for routers that were disconnected. */
const resetLastsMs = 60_000
const takenBackLastsMs = 86_400_000

/** The latest of each override. */
export class Overrides {
  readonly #latest = new Map<string, Override>()

  /** Whether it takes effect, because it is later than the previous one. */
  take(override: Override): boolean {
    const key = keyOf(override)
    const known = this.#latest.get(key)
    if (known && !isLater(override, known)) return false
    this.#latest.set(key, override)
    return true
  }

  /** Gives a new one a time later than all known ones, whatever the clocks of other hosts. `now`: milliseconds since 1970. */
  dated(override: NewOverride, now: number): Override {
    const before = this.#latest.get(keyOf(override))?.at ?? 0
    return { ...override, at: Math.max(now, before + 1) }
  }

  all(): readonly Override[] {
    return [...this.#latest.values()]
  }

  prune(now: number): void {
    for (const [key, override] of this.#latest) if (isSpent(override, now)) this.#latest.delete(key)
  }
}

/** No longer needed. */
export function isSpent({ kind, value, at }: Override, now: number): boolean {
  if (kind === 'reset') return now - at > resetLastsMs
  return (value === null || value === false) && now - at > takenBackLastsMs
}

export function keyOf(override: NewOverride): string {
  const { kind, target } = override
  return JSON.stringify(override.kind === 'weight' ? [kind, target, override.model] : [kind, target])
}

/** A total order, equal in every process even for equal times. */
function isLater(a: Override, b: Override): boolean {
  return a.at > b.at || (a.at === b.at && textOf(a) > textOf(b))
}

/** Canonical text of an override, equal in every process. */
export function textOf(override: Override): string {
  return JSON.stringify(override, ['kind', 'target', 'model', 'value', 'at', 'by'])
}

/** Undefined if unknown to this version. */
export function overrideIn(text: unknown): Override | undefined {
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
