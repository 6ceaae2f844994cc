import type { WeightControl } from '../../sdk/strategy.ts'
import type { ModelState } from './model-states.ts'

/** For a strategy that manages its own weights. */
export function weightControl({ strategy }: Pick<ModelState, 'strategy'>): WeightControl | undefined {
  return 'pick' in strategy ? strategy.weights : undefined
}

/** Sets these weights, by target id; all other targets have the configured ones. */
export function setWeights(state: ModelState, weights: ReadonlyMap<string, number>): void {
  const control = weightControl(state)
  let hasChanged = false
  for (const signals of state.live.values()) {
    const { id } = signals.target
    const weight = weights.get(id)
    if (weight === undefined) control?.reset(id)
    else control?.set(id, weight)
    hasChanged ||= signals.weight !== weight
    signals.weight = weight
  }
  if (!hasChanged) return
  // Strategies cache by list.
  state.active = [...state.active]
  state.reserve = [...state.reserve]
}
