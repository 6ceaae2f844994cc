import { didYouMean } from '../../lib/did-you-mean.ts'
import { ConfigError } from '../../sdk/errors.ts'
import { checkPart, type Findings } from '../models/check.ts'
import { checkModelName, type KnownModels, unknownModel } from '../models/known-models.ts'
import type { PluginSettings } from '../settings/plugins.ts'
import { type AutoModelEntry, AutoModelSchema } from './schema.ts'

/** The model name in requests for which the router chooses a model. */
export const autoName = 'auto'

const path = 'auto_model'

/** Reads `auto_model`. Errors are reported in the findings. */
export function readAutoModel(
  root: Readonly<Record<string, unknown>>,
  known: KnownModels,
  findings: Findings,
): AutoModelEntry | undefined {
  if (root.auto_model === undefined) return undefined
  const entry = checkPart(AutoModelSchema, root.auto_model, path, findings)
  return entry && checkEntry(entry, known, findings)
}

function checkEntry(entry: AutoModelEntry, known: KnownModels, findings: Findings): AutoModelEntry {
  checkModels(entry, known, findings)
  const { models, rules = [], examples = {}, embedding_model: embedding, by_size: bySize } = entry
  for (const [index, { model, min_prompt_tokens: min = 0, max_prompt_tokens: max }] of rules.entries()) {
    if (!models.includes(model))
      findings.errors.push(`${path}.rules[${index}].model: ${notListed(model, models)}`)
    if (max !== undefined && max < min)
      findings.errors.push(
        `${path}.rules[${index}].max_prompt_tokens: must not be less than min_prompt_tokens`,
      )
  }
  if (entry.default !== undefined && !models.includes(entry.default))
    findings.errors.push(`${path}.default: ${notListed(entry.default, models)}`)
  for (const model of Object.keys(examples))
    if (!models.includes(model))
      findings.errors.push(`${path}.examples.${model}: ${notListed(model, models)}`)
  if (Object.keys(examples).length > 0 && embedding === undefined)
    findings.errors.push(`${path}.embedding_model: missing; examples require it`)
  const [middle = 0, large = 0] = bySize?.thresholds ?? []
  if (middle > large)
    findings.errors.push(`${path}.by_size.thresholds: the second must not be less than the first`)
  return entry
}

function checkModels(
  { models, embedding_model: embedding }: AutoModelEntry,
  known: KnownModels,
  findings: Findings,
): void {
  const { errors, warnings } = findings
  const named = models.map((model, index) => ({ model, path: `${path}.models[${index}]` }))
  if (embedding !== undefined) named.push({ model: embedding, path: `${path}.embedding_model` })
  const seen = new Set<string>()
  for (const { model, path } of named) {
    if (model === autoName && models.includes(model))
      errors.push(`${path}: "auto" cannot choose itself; remove it`)
    else if (!known.models.has(model)) checkModelName(model, path, known, findings)
    else if (seen.has(model) && model !== embedding) warnings.push(`${path}: ${model} is listed twice`)
    seen.add(model)
  }
}

function notListed(model: string, models: readonly string[]): string {
  return `${JSON.stringify(model)} is not in ${path}.models${didYouMean(model, models)}`
}

/** Builds the entry from the variables of the Python llm-router. Throws ConfigError if they name an unknown model. */
export function autoModelFromVariables(
  settings: PluginSettings,
  models: ReadonlySet<string>,
): AutoModelEntry | undefined {
  if (!settings.utilsPipeline.includes('simple_semantic_routing')) return undefined
  const { routingModels: named, routingThresholds: thresholds, routingDefaultModel } = settings
  const variable = 'LLM_ROUTER_ROUTING_MODELS'
  if (named.length === 0)
    throw new ConfigError([
      `${variable}: required by simple_semantic_routing in LLM_ROUTER_UTILS_PLUGINS_PIPELINE, unless models-config.json contains auto_model`,
    ])
  const unknown = named.filter((model) => !models.has(model))
  if (unknown.length > 0)
    throw new ConfigError(unknown.map((model) => `${variable}: ${unknownModel(model, models)}`))
  const words = {
    code: settings.routingIntentCode,
    math: settings.routingIntentMath,
    creative: settings.routingIntentCreative,
    general: settings.routingIntentGeneral,
  }
  return {
    models: named,
    ...(routingDefaultModel === '' ? {} : { default: routingDefaultModel }),
    by_size: { thresholds, words },
  }
}
