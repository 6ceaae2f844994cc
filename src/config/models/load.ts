import { didYouMean } from '../../lib/did-you-mean.ts'
import type { JsonDocument } from '../../lib/json/jsonc.ts'
import { isObject } from '../../lib/json/read.ts'
import { ConfigError } from '../../sdk/errors.ts'
import type { Model, Target } from '../../sdk/target.ts'
import { readAutoModel } from '../auto/read.ts'
import type { AutoModelEntry } from '../auto/schema.ts'
import { activePath, atTextPosition, modelPath } from '../config-path.ts'
import { readConfigText, type Syntax, syntaxErrorText } from '../config-text.ts'
import { type ConfiguredProcessor, readProcessors } from '../processors/read.ts'
import { aliasNames, readAliases } from '../servers/aliases.ts'
import type { FleetSnapshot, ServerEndpoint } from '../servers/published.ts'
import { endpointsOf, followsModels, type PublishedModel, publishedModels } from '../servers/published.ts'
import { isReserved, readServers, type Servers } from '../servers/servers.ts'
import { readServer, type TargetSources } from '../targets/target-access.ts'
import { buildTargets } from '../targets/target-build.ts'
import { TargetIds } from '../targets/target-ids.ts'
import { type CheckedModel, checkModel, type Findings, type ProviderAtPath } from './check.ts'
import { checkModelName, type KnownModels } from './known-models.ts'

interface ValidModel extends ActiveModel, CheckedModel {
  path: string
}

/**
 * Reads models-config.json. Throws ConfigError with all errors, each with its path; no
 * error contains a key or an address. Warnings do not prevent its use.
 */
export function loadModels(text: string, sources: TargetSources, fleet: FleetSnapshot = {}): LoadedModels {
  const { root, warnings } = parse(text, sources.syntax ?? 'JSON')
  const findings: Findings = { errors: [], warnings }
  const servers = readServers(root, findings)
  const active = readActiveModels(root, findings, servers)
  const found = active.flatMap((model): ValidModel[] => {
    const path = modelPath(model.group, model.alias)
    const checked = checkModel(model.value, path, { findings, servers })
    return checked ? [{ ...model, ...checked, path }] : []
  })
  checkInactive(root, active, { findings, servers })

  const ids = new TargetIds()
  for (const entry of found.flatMap(({ providers, standby }) => [...providers, ...standby]))
    ids.claim(entry, findings.errors)
  const context = { ids, sources, findings, endpointsOf: endpointsIn(servers, fleet) }
  const listed = found.map((model) => buildModel(model, context))
  for (const server of servers.list) readServer(server, sources, findings)
  const usedNames = new Set([...active.map(({ alias }) => alias), ...aliasNames(root)])
  const models = [
    ...listed,
    ...publishedBy(servers, fleet, usedNames).map((model) => buildPublished(model, context)),
  ]
  const mayGrow = servers.list.some(followsModels)
  const known: KnownModels = { models: new Set(models.map(({ alias }) => alias)), mayGrow }
  checkFallbacks(found, known, findings)
  checkHiddenModels(root, found, findings)
  const configured = new Set(active.map(({ alias }) => alias))
  const published = new Set(models.slice(listed.length).map(({ alias }) => alias))
  const aliases = readAliases(root, { configured, published, mayGrow }, findings)
  const processors = readProcessors(root, { ...known, env: sources.env }, findings)
  const autoModel = readAutoModel(root, known, findings)
  // Errors of a server are found once per provider.
  const [errors, allWarnings] = [[...new Set(findings.errors)], [...new Set(findings.warnings)]]
  if (errors.length > 0) throw new ConfigError(errors, allWarnings)
  return { models, aliases, processors, autoModel, warnings: allWarnings }
}

export interface LoadedModels {
  models: Model[]
  /** Names of models by alias. */
  aliases: ReadonlyMap<string, string>
  /** Processors of requests and responses, in order. */
  processors: readonly ConfiguredProcessor[]
  /** How the model `auto` chooses; undefined if it is not configured. */
  autoModel: AutoModelEntry | undefined
  warnings: string[]
}

function parse(text: string, syntax: Syntax): { root: Record<string, unknown>; warnings: string[] } {
  const document = readConfigText(text, syntax)
  const { syntaxError } = document
  if (syntaxError) throw new ConfigError([atTextPosition(syntaxError, syntaxErrorText(syntaxError, syntax))])
  if (!isObject(document.value)) throw new ConfigError([atTextPosition(document.find([]), 'not an object')])
  return { root: document.value, warnings: duplicateNames(document) }
}

/** Warns about duplicate members: only the last one applies, so a whole model could be dropped silently. */
function duplicateNames({ duplicates }: JsonDocument): string[] {
  return duplicates.map(({ path, position }) =>
    atTextPosition(
      position,
      `${JSON.stringify(path.at(-1))} occurs more than once; only the last one counts`,
    ),
  )
}

/** Warns about models that are never served because another group has an active model of the same name. */
function checkHiddenModels(
  root: Record<string, unknown>,
  found: readonly ValidModel[],
  { warnings }: Findings,
): void {
  for (const { alias, group, path } of found) {
    for (const [other, models] of Object.entries(root)) {
      if (other === group || isReserved(other) || /^[$_]/.test(other)) continue
      if (isObject(models) && Object.hasOwn(models, alias))
        warnings.push(`${modelPath(other, alias)}: not served; the active model of this name is ${path}`)
    }
  }
}

function checkFallbacks(found: readonly ValidModel[], known: KnownModels, findings: Findings): void {
  for (const { alias, path, shell } of found) {
    for (const [index, name] of (shell.fallbacks ?? []).entries()) {
      const at = `${path}.fallbacks[${index}]`
      if (name === alias) findings.errors.push(`${at}: a model cannot be its own fallback`)
      else checkModelName(name, at, known, findings)
    }
  }
}

/** Inactive models are validated too, so that activating one later does not fail. */
function checkInactive(
  root: Record<string, unknown>,
  active: readonly ActiveModel[],
  context: { findings: Findings; servers: Servers },
): void {
  for (const [group, models] of Object.entries(root)) {
    if (isReserved(group) || group.startsWith('$') || !isObject(models)) continue
    for (const [alias, value] of Object.entries(models)) {
      if (active.some((model) => model.group === group && model.alias === alias)) continue
      if (isObject(value) && ('providers' in value || 'providers_sleep' in value))
        checkModel(value, modelPath(group, alias), { ...context, isInactive: true })
    }
  }
}

interface BuildContext {
  ids: TargetIds
  sources: TargetSources
  findings: Findings
  /** Returns the endpoints of a provider's server; undefined unless its addresses are separate targets. */
  endpointsOf(entry: ProviderAtPath): readonly ServerEndpoint[] | undefined
}

function buildModel(model: ValidModel, context: BuildContext): Model {
  const { alias, group, shell, path, providers, standby } = model
  const { ids, sources, findings } = context
  const plan = { alias, shell, ids, sources, findings }
  const strategy = shell.strategy?.trim() || undefined
  const known = sources.strategies
  if (strategy !== undefined && known && !known.find(strategy)) {
    const hint = didYouMean(strategy, known.names())
    const names = known.names().join(', ')
    findings.errors.push(`${path}.strategy: no strategy ${JSON.stringify(strategy)}; known: ${names}${hint}`)
  }
  const build = (list: CheckedModel['providers']): Target[] =>
    list.flatMap((entry) => buildTargets(entry, plan, context.endpointsOf(entry)))
  if (shell.providers.length === 0)
    findings.warnings.push(`${path}.providers: empty; "${alias}" cannot answer`)
  return {
    alias,
    group,
    targets: build(providers),
    standby: build(standby),
    fallbacks: shell.fallbacks ?? [],
    strategy,
    embedding: [...providers, ...standby].some(({ provider }) => provider.is_embedding === true),
    ...(shell.hold_timeout === undefined ? {} : { holdTimeoutMs: shell.hold_timeout * 1000 }),
    ...(shell.capabilities ? { capabilities: shell.capabilities } : {}),
    ...(shell.details ? { details: shell.details } : {}),
  }
}

function endpointsIn(servers: Servers, fleet: FleetSnapshot): BuildContext['endpointsOf'] {
  return ({ server }) => {
    const found = server && servers.byId(server.id)
    if (found?.server.addresses === undefined && found?.server.kubernetes === undefined) return undefined
    return endpointsOf(found, fleet)
  }
}

/** Models published by servers, except those whose names are used in the file. */
function publishedBy(
  { list }: Servers,
  fleet: FleetSnapshot,
  usedNames: ReadonlySet<string>,
): PublishedModel[] {
  return publishedModels(list, fleet).filter(({ alias }) => !usedNames.has(alias))
}

function buildPublished({ alias, providers, found }: PublishedModel, context: BuildContext): Model {
  const plan = { ...context, alias, shell: { providers: [] } }
  return {
    alias,
    group: 'servers',
    targets: providers.flatMap(({ entry, endpoints }) => buildTargets(entry, plan, endpoints)),
    standby: [],
    fallbacks: [],
    strategy: undefined,
    embedding: providers.some(({ entry }) => entry.provider.is_embedding === true),
    ...(found?.capabilities ? { capabilities: found.capabilities } : {}),
    ...(found && Object.keys(found.details).length > 0 ? { details: found.details } : {}),
  }
}

export interface ActiveModel {
  group: string
  alias: string
  /** The unvalidated model from the file. */
  value: unknown
}

/** Reads the models named by `active_models`, in order, without duplicates. */
function readActiveModels(
  root: Record<string, unknown>,
  findings: Findings,
  { list }: Servers,
): ActiveModel[] {
  const lists = root.active_models ?? undefined
  if (lists === undefined && list.some(({ server }) => server.models !== undefined)) return []
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
  const models = !isReserved(group) && Object.hasOwn(root, group) ? root[group] : undefined
  if (!isObject(models)) {
    const groups = Object.keys(root).filter((name) => !isReserved(name))
    const error = isReserved(group)
      ? `${activePath(group)}: the name ${JSON.stringify(group)} is reserved; a group of models needs another name`
      : `${activePath(group)}: no such group of models${didYouMean(group, groups)}`
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
