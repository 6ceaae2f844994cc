import { didYouMean } from '../lib/did-you-mean.ts'
import { type JsonDocument, readJsonc } from '../lib/json/jsonc.ts'
import { isObject } from '../lib/json/read.ts'
import { ConfigError } from '../sdk/errors.ts'
import type { Model, Target } from '../sdk/target.ts'
import { activePath, atTextPosition, modelPath } from './config-path.ts'
import { type CheckedModel, checkModel, type Findings } from './models-check.ts'
import { buildTarget, TargetIds, type TargetSources } from './target-build.ts'

interface FoundModel extends ActiveModel, CheckedModel {
  path: string
}

/**
 * Reads models-config.json. Throws ConfigError with everything that is wrong in it, each error with its place; no
 * error holds a key or an address. The warnings are for what can be lived with.
 */
export function loadModels(text: string, sources: TargetSources): { models: Model[]; warnings: string[] } {
  const { root, warnings } = parse(text)
  const findings: Findings = { errors: [], warnings }
  const active = readActiveModels(root, findings)
  const found = active.flatMap((model): FoundModel[] => {
    const path = modelPath(model.group, model.alias)
    const checked = checkModel(model.value, path, findings)
    return checked ? [{ ...model, ...checked, path }] : []
  })
  checkParked(root, active, findings)

  const ids = new TargetIds()
  for (const placed of found.flatMap(({ providers, sleeping }) => [...providers, ...sleeping]))
    ids.claim(placed, findings.errors)
  const models = found.map((model) => buildModel(model, ids, sources, findings))
  checkFallbacks(found, findings)
  checkTwins(root, found, findings)
  if (findings.errors.length > 0) throw new ConfigError(findings.errors, findings.warnings)
  return { models, warnings: findings.warnings }
}

function parse(text: string): { root: Record<string, unknown>; warnings: string[] } {
  const document = readJsonc(text)
  if (document.syntaxError) {
    const { line, column } = document.syntaxError
    throw new ConfigError([`models-config.json: not valid JSON (line ${line}, column ${column})`])
  }
  if (!isObject(document.value)) throw new ConfigError(['models-config.json: not an object'])
  return { root: document.value, warnings: duplicateNames(document) }
}

/** The last of two members with one name counts, so a whole model may be missing without a sign. */
function duplicateNames({ duplicates }: JsonDocument): string[] {
  return duplicates.map(({ path, position }) =>
    atTextPosition(
      position,
      `${JSON.stringify(path.at(-1))} stands here a first time; only the last one counts`,
    ),
  )
}

/** A model of that name in a second group is not served, whatever was changed in it. */
function checkTwins(
  root: Record<string, unknown>,
  found: readonly FoundModel[],
  { warnings }: Findings,
): void {
  for (const { alias, group, path } of found) {
    for (const [other, models] of Object.entries(root)) {
      if (other === group || other === 'active_models' || /^[$_]/.test(other)) continue
      if (isObject(models) && Object.hasOwn(models, alias))
        warnings.push(
          `${modelPath(other, alias)}: not served; the model of this name that is active is ${path}`,
        )
    }
  }
}

function checkFallbacks(found: readonly FoundModel[], { errors }: Findings): void {
  const aliases = new Set(found.map(({ alias }) => alias))
  for (const { alias, path, shell } of found) {
    for (const [index, name] of (shell.fallbacks ?? []).entries()) {
      const at = `${path}.fallbacks[${index}]`
      if (name === alias) errors.push(`${at}: a model cannot stand in for itself`)
      else if (!aliases.has(name)) errors.push(`${at}: no active model ${JSON.stringify(name)}`)
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
        checkModel(value, modelPath(group, alias), findings, true)
    }
  }
}

function buildModel(model: FoundModel, ids: TargetIds, sources: TargetSources, findings: Findings): Model {
  const { alias, group, shell, path, providers, sleeping } = model
  const plan = { alias, shell, ids, sources, findings }
  const strategy = shell.strategy?.trim() || undefined
  const known = sources.strategies
  if (strategy !== undefined && known && !known.find(strategy)) {
    const hint = didYouMean(strategy, known.names())
    const names = known.names().join(', ')
    findings.errors.push(`${path}.strategy: no strategy ${JSON.stringify(strategy)}; known: ${names}${hint}`)
  }
  const build = (list: CheckedModel['providers']): Target[] =>
    list.map((placed) => buildTarget(placed, plan)).filter((target) => target !== undefined)
  if (shell.providers.length === 0)
    findings.warnings.push(`${path}.providers: empty; "${alias}" cannot answer`)
  return {
    alias,
    group,
    targets: build(providers),
    sleeping: build(sleeping),
    fallbacks: shell.fallbacks ?? [],
    strategy,
    embedding: [...providers, ...sleeping].some(({ provider }) => provider.is_embedding === true),
    ...(shell.hold_timeout === undefined ? {} : { holdTimeoutMs: shell.hold_timeout * 1000 }),
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
    findings.errors.push(`active_models: ${problem}; it names the models to serve, as {"group": ["model"]}`)
    return []
  }
  const active: ActiveModel[] = []
  const pathOf = new Map<string, { group: string; path: string }>()
  for (const [group, list] of Object.entries(lists)) {
    for (const [alias, path] of readList(group, list, findings)) {
      const earlier = pathOf.get(alias)
      if (earlier?.group === group) {
        findings.warnings.push(`${path}: "${alias}" is listed twice; it is also ${earlier.path}`)
      } else if (earlier) {
        findings.errors.push(`${path}: "${alias}" is also ${earlier.path}; a name can be active once`)
      } else {
        pathOf.set(alias, { group, path })
        const value = modelOf(root, group, alias, path, findings)
        if (value !== undefined) active.push({ group, alias, value })
      }
    }
  }
  return active
}

function readList(group: string, list: unknown, findings: Findings): [alias: string, path: string][] {
  if (list === null) return []
  if (!Array.isArray(list)) {
    findings.errors.push(`${activePath(group)}: not a list of model names`)
    return []
  }
  return list.flatMap((alias: unknown, index): [string, string][] => {
    const path = activePath(group, index)
    if (typeof alias === 'string') return [[alias, path]]
    findings.errors.push(`${path}: not the name of a model`)
    return []
  })
}

function modelOf(
  root: Record<string, unknown>,
  group: string,
  alias: string,
  path: string,
  findings: Findings,
): unknown {
  const models = group !== 'active_models' && Object.hasOwn(root, group) ? root[group] : undefined
  if (!isObject(models)) {
    const groups = Object.keys(root).filter((name) => name !== 'active_models')
    const error = `${activePath(group)}: no such group of models${didYouMean(group, groups)}`
    if (!findings.errors.includes(error)) findings.errors.push(error)
    return undefined
  }
  const model = Object.hasOwn(models, alias) ? (models[alias] ?? undefined) : undefined
  if (model === undefined) {
    const hint = didYouMean(alias, Object.keys(models))
    findings.errors.push(`${path}: no such model ${JSON.stringify(alias)}${hint}`)
  }
  return model
}
