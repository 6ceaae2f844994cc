import type { ModelStatus, Status, TargetStatus } from './status.ts'

/** Changes of an object: new values by member, and the names of removed members in `unset`. */
export type Changes<Whole> = Partial<Whole> & { unset?: string[] }

export type TargetDelta = Changes<TargetStatus> & { id: string }
export type ModelDelta = Changes<Omit<ModelStatus, 'targets'>> & {
  name: string
  targets?: TargetDelta[]
  /** Ids of targets that the model no longer has. */
  removed?: string[]
}

/** The difference between a status and the previous one. Unchanged members are absent; a new model or target is complete. */
export interface StatusDelta {
  at: string
  status: Changes<Omit<Status, 'models'>>
  models: ModelDelta[]
  /** Names of removed models. */
  removed?: string[]
}
