import type { ExclusiveInstance, SharingInstance, Strategy, StrategyContext } from '../strategy.ts'
import { type Members, memberErrors } from './members.ts'

const members = {
  name: 'string',
  create: 'function',
  exclusive: 'boolean?',
  affinity: 'boolean?',
  usesWeights: 'boolean?',
}

const settling = {
  reason: 'function?',
  taken: 'function?',
  settled: 'function?',
  retain: 'function?',
} as const

const sharing: Members<SharingInstance> = {
  ...settling,
  pick: 'function',
  rank: 'function?',
  preview: 'function?',
  scores: 'function?',
  weights: 'object?',
}

const exclusive: Members<ExclusiveInstance> = { ...settling, order: 'function' }

/** Also creates an instance, and checks it. */
export function strategyErrors(strategy: Strategy): string[] {
  const errors = memberErrors(strategy, members)
  if (errors.length > 0) return errors
  const instance: unknown = strategy.create(context)
  if (typeof instance !== 'object' || instance === null) return ["'create' must return an object"]
  const found = memberErrors(instance, strategy.exclusive ? exclusive : sharing)
  return found.map((error) => `the object that 'create' returns: ${error}`)
}

const context: StrategyContext = { now: () => 0, random: () => 0 }
