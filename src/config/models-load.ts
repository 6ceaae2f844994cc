import { didYouMean } from '../lib/did-you-mean.ts'
import { findJsonFault } from '../lib/json/fault.ts'
import { type JsonPath, jsonPlaces } from '../lib/json/places.ts'
import { isObject } from '../lib/json/read.ts'
import { ConfigError } from '../sdk/errors.ts'
import type { Model, Target } from '../sdk/target.ts'
import { atTextPlace } from './fault-place.ts'
import { type CheckedModel, checkModel, type Findings } from './models-check.ts'
import { activePlace, modelPlace } from './places.ts'
import { buildTarget, TargetIds, type TargetSources } from './target-build.ts'

interface FoundModel extends ActiveModel, CheckedModel {
  place: string
}

/**
 * Reads models-config.json. Throws ConfigError with everything that is wrong in it, each fault with its place; no
 * fault holds a key or an address. The warnings are for what can be lived with.
 */
export function loadModels(text: string, sources: TargetSources): { models: Model[]; warnings: string[] } {
  const root = parse(text)
  const findings: Findings = { faults: [], warnings: duplicateNames(text, root) }
  const active = readActiveModels(root, findings)
  const found = active.flatMap((model): FoundModel[] => {
    const place = modelPlace(model.group, model.alias)
    const checked = checkModel(model.value, place, findings)
    return checked ? [{ ...model, ...checked, place }] : []
  })
  checkParked(root, active, findings)

  const ids = new TargetIds()
  for (const placed of found.flatMap(({ providers, sleeping }) => [...providers, ...sleeping]))
    ids.claim(placed, findings.faults)
  const models = found.map((model) => buildModel(model, ids, sources, findings))
  checkFallbacks(found, findings)
  checkTwins(root, found, findings)
  if (findings.faults.length > 0) throw new ConfigError(findings.faults, findings.warnings)
  return { models, warnings: findings.warnings }
}

function parse(text: string): Record<string, unknown> {
  const json = text.startsWith('\ufeff') ? text.slice(1) : text
  let root: unknown
  try {
    root = JSON.parse(json)
  } catch {
    // The parser's message quotes the text, see findJsonFault.
    const fault = findJsonFault(json)
    const where = fault ? ` (line ${fault.line}, column ${fault.column})` : ''
    throw new ConfigError([`models-config.json: not valid JSON${where}`])
  }
  if (!isObject(root)) throw new ConfigError(['models-config.json: not an object'])
  return root
}

/** JSON.parse keeps the last of two members with one name, so a whole model may be missing without a sign. */
function duplicateNames(text: string, root: unknown): string[] {
  if (namesIn(text) === membersIn(root)) return []
  return jsonPlaces(text).duplicates.map(({ path, place }) => atTextPlace(place, duplicateText(path)))
}

/** Of a text that JSON.parse has accepted. To count names takes a tenth of the time that to find their places does. */
function namesIn(text: string): number {
  let count = 0
  for (let start = text.indexOf('"'); start !== -1; ) {
    let end = text.indexOf('"', start + 1)
    while (isEscaped(text, end)) end = text.indexOf('"', end + 1)
    let next = end + 1
    while (/\s/.test(text[next] ?? '')) next++
    if (text[next] === ':') count++
    start = text.indexOf('"', next)
  }
  return count
}

function isEscaped(text: string, at: number): boolean {
  let backslashes = 0
  while (text[at - 1 - backslashes] === '\\') backslashes++
  return backslashes % 2 === 1
}

function membersIn(value: unknown): number {
  if (Array.isArray(value)) return value.reduce((sum: number, item) => sum + membersIn(item), 0)
  if (!isObject(value)) return 0
  return Object.values(value).reduce((sum: number, item) => sum + 1 + membersIn(item), 0)
}

function duplicateText(path: JsonPath): string {
  return `${JSON.stringify(path.at(-1))} stands here a first time; only the last one counts`
}

/** A model of that name in a second group is not served, whatever was changed in it. */
function checkTwins(
  root: Record<string, unknown>,
  found: readonly FoundModel[],
  { warnings }: Findings,
): void {
  for (const { alias, group, place } of found) {
    for (const [other, models] of Object.entries(root)) {
      if (other === group || other === 'active_models' || /^[$_]/.test(other)) continue
      if (isObject(models) && Object.hasOwn(models, alias))
        warnings.push(
          `${modelPlace(other, alias)}: not served; the model of this name that is active is ${place}`,
        )
    }
  }
}

function checkFallbacks(found: readonly FoundModel[], { faults }: Findings): void {
  const aliases = new Set(found.map(({ alias }) => alias))
  for (const { alias, place, shell } of found) {
    for (const [index, name] of (shell.fallbacks ?? []).entries()) {
      const at = `${place}.fallbacks[${index}]`
      if (name === alias) faults.push(`${at}: a model cannot stand in for itself`)
      else if (!aliases.has(name)) faults.push(`${at}: no active model ${JSON.stringify(name)}`)
    }
  }
}

/** Models that no list names: what looks like one is checked, so that its activation brings no surprise. */
function checkParked(
  root: Record<string, unknown>,
  active: readonly ActiveModel[],
  findings: Findings,
): void {
  for (const [group, models] of Object.entries(root)) {
    if (group === 'active_models' || group.startsWith('$') || !isObject(models)) continue
    for (const [alias, value] of Object.entries(models)) {
      if (active.some((model) => model.group === group && model.alias === alias)) continue
      if (isObject(value) && ('providers' in value || 'providers_sleep' in value))
        checkModel(value, modelPlace(group, alias), findings, true)
    }
  }
}

function buildModel(model: FoundModel, ids: TargetIds, sources: TargetSources, findings: Findings): Model {
  const { alias, group, shell, place, providers, sleeping } = model
  const plan = { alias, shell, ids, sources, findings }
  const strategy = shell.strategy?.trim() || undefined
  const known = sources.strategies
  if (strategy !== undefined && known && !known.find(strategy)) {
    const hint = didYouMean(strategy, known.names())
    const names = known.names().join(', ')
    findings.faults.push(`${place}.strategy: no strategy ${JSON.stringify(strategy)}; known: ${names}${hint}`)
  }
  const build = (list: CheckedModel['providers']): Target[] =>
    list.map((placed) => buildTarget(placed, plan)).filter((target) => target !== undefined)
  if (shell.providers.length === 0)
    findings.warnings.push(`${place}.providers: empty; "${alias}" cannot answer`)
  return {
    alias,
    group,
    targets: build(providers),
    sleeping: build(sleeping),
    fallbacks: shell.fallbacks ?? [],
    strategy,
    embedding: [...providers, ...sleeping].some(({ provider }) => provider.is_embedding === true),
    ...(shell.capabilities ? { capabilities: shell.capabilities } : {}),
    ...(shell.details ? { details: shell.details } : {}),
  }
}

export interface ActiveModel {
  group: string
  alias: string
  /** The model as the file has it, to be checked. */
  value: unknown
}

/** The models that `active_models` names, in its order, each once. */
function readActiveModels(root: Record<string, unknown>, findings: Findings): ActiveModel[] {
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
