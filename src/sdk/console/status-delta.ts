import type { ModelStatus, Status, TargetStatus } from './status.ts'

/** What has changed of an object: members by name, and those that are gone. */
export type Changes<Whole> = Partial<Whole> & { unset?: string[] }

export type TargetDelta = Changes<TargetStatus> & { id: string }
export type ModelDelta = Changes<Omit<ModelStatus, 'targets'>> & {
  name: string
  targets?: TargetDelta[]
  /** Ids of targets that the model no longer has. */
  removed?: string[]
}

/** A status as the difference to the one before. What did not change is absent; a new model or target is whole. */
export interface StatusDelta {
  at: string
  status: Changes<Omit<Status, 'models'>>
  models: ModelDelta[]
  /** Names of models that are gone. */
  removed?: string[]
}
