import type { Flavour, Profile, SystemTurns } from './profile.ts'

/** Reports a dropped field, which the target cannot carry: one log line and the `x-llm-router-lost` header. */
export type Drop = (field: string, why: string) => void

export interface WriteRequestOptions {
  /** The model's name at the upstream. */
  model: string
  flavour: Flavour
  /** Handling of system turns after the first message; absent: `fold`. */
  systemTurns?: SystemTurns | undefined
  drop: Drop
  /** Limits of the model; absent: unknown. */
  profile?: Profile | undefined
}
