import { didYouMean } from '../lib/did-you-mean.ts'
import { isObject } from '../lib/json/read.ts'
import type { Findings } from './models-check.ts'
import { activePlace } from './places.ts'

export interface ActiveModel {
  group: string
  alias: string
  /** The model as the file has it, to be checked. */
  value: unknown
}

/** The models that `active_models` names, in its order, each once. */
export function readActiveModels(root: Record<string, unknown>, findings: Findings): ActiveModel[] {
  const lists = root.active_models ?? undefined
  if (!isObject(lists)) {
    const problem = lists === undefined ? 'missing' : 'not an object'
    findings.faults.push(`active_models: ${problem}; it names the models to serve, as {"group": ["model"]}`)
    return []
  }
  const active: ActiveModel[] = []
  const placeOf = new Map<string, { group: string; place: string }>()
  for (const [group, list] of Object.entries(lists)) {
    for (const [alias, place] of readList(group, list, findings)) {
      const earlier = placeOf.get(alias)
      if (earlier?.group === group) {
        findings.warnings.push(`${place}: "${alias}" is listed twice; it is also ${earlier.place}`)
      } else if (earlier) {
        findings.faults.push(`${place}: "${alias}" is also ${earlier.place}; a name can be active once`)
      } else {
        placeOf.set(alias, { group, place })
        const value = modelOf(root, group, alias, place, findings)
        if (value !== undefined) active.push({ group, alias, value })
      }
    }
  }
  return active
}

function readList(group: string, list: unknown, findings: Findings): [alias: string, place: string][] {
  if (list === null) return []
  if (!Array.isArray(list)) {
    findings.faults.push(`${activePlace(group)}: not a list of model names`)
    return []
  }
  return list.flatMap((alias: unknown, index): [string, string][] => {
    const place = activePlace(group, index)
    if (typeof alias === 'string') return [[alias, place]]
    findings.faults.push(`${place}: not the name of a model`)
    return []
  })
}

function modelOf(
  root: Record<string, unknown>,
  group: string,
  alias: string,
  place: string,
  findings: Findings,
): unknown {
  const models = group !== 'active_models' && Object.hasOwn(root, group) ? root[group] : undefined
  if (!isObject(models)) {
    const groups = Object.keys(root).filter((name) => name !== 'active_models')
    const fault = `${activePlace(group)}: no such group of models${didYouMean(group, groups)}`
    if (!findings.faults.includes(fault)) findings.faults.push(fault)
    return undefined
  }
  const model = Object.hasOwn(models, alias) ? (models[alias] ?? undefined) : undefined
  if (model === undefined) {
    const hint = didYouMean(alias, Object.keys(models))
    findings.faults.push(`${place}: no such model ${JSON.stringify(alias)}${hint}`)
  }
  return model
}
