import type { AutoModelEntry, AutoRule } from '../../config/auto/schema.ts'
import type { Model } from '../../sdk/target.ts'
import type { ClientName } from '../processors/compiled.ts'
import { chosenBySize } from './by-size.ts'
import type { Candidate } from './candidates.ts'
import type { Examples } from './examples.ts'
import type { AutoFacts } from './facts.ts'

/** What decided, in the order of precedence. */
export type DecidedBy = 'conversation' | 'rule' | 'example' | 'size' | 'order'

export interface AutoChoice {
  readonly model: Model
  readonly by: DecidedBy
  /** The rule or example that decided, for operators. */
  readonly detail?: string
  /** Other models that can answer, in order. */
  readonly fallbacks: readonly string[]
  readonly candidates: readonly Candidate[]
}

export interface Choosing {
  readonly entry: AutoModelEntry
  readonly examples: Examples
  readonly facts: AutoFacts
  readonly client: ClientName | undefined
  /** Models that the client may use, in order; at least one. */
  readonly candidates: readonly Candidate[]
  /** The model that the conversation used so far. */
  readonly previous: string | undefined
  /** The most similar example of these models. Rejects if the embedding fails. */
  nearest(text: string, models: ReadonlySet<string>): ReturnType<Examples['nearest']>
  onFailure(error: unknown): void
}

/** Chooses a model; undefined if the client may use none. */
export async function chosenModel(choosing: Choosing): Promise<AutoChoice | undefined> {
  const { candidates } = choosing
  const able = candidates.filter(({ excluded }) => excluded === undefined).map(({ model }) => model)
  // If none can answer, the first one reports why.
  const models = able.length > 0 ? able : candidates.slice(0, 1).map(({ model }) => model)
  const [first] = models
  if (!first) return undefined
  const decision = models.length === 1 ? undefined : await decided(choosing, models)
  const { model = preferred(choosing.entry, models) ?? first, ...how } = decision ?? { by: 'order' as const }
  const fallbacks = models.filter((each) => each !== model).map(({ alias }) => alias)
  return { ...how, model, fallbacks, candidates }
}

type Decision = Pick<AutoChoice, 'by' | 'detail'> & { model: Model }

async function decided(choosing: Choosing, models: readonly Model[]): Promise<Decision | undefined> {
  const { entry, facts, previous, client } = choosing
  const named = (alias: string | undefined): Model | undefined =>
    models.find((model) => model.alias === alias)
  const previousModel = named(previous)
  if (previousModel) return { model: previousModel, by: 'conversation' }
  for (const [index, rule] of (entry.rules ?? []).entries()) {
    const model = named(rule.model)
    if (model && applies(rule, facts, client)) return { model, by: 'rule', detail: `rules[${index}]` }
  }
  return (await byExample(choosing, named, models)) ?? bySize(choosing, models)
}

async function byExample(
  { entry, examples, facts, nearest, onFailure }: Choosing,
  named: (alias: string) => Model | undefined,
  models: readonly Model[],
): Promise<Decision | undefined> {
  if (examples.size === 0 || facts.firstText.trim() === '') return undefined
  try {
    const found = await nearest(facts.firstText, new Set(models.map(({ alias }) => alias)))
    const model = found && named(found.model)
    if (!found || !model || found.similarity < (entry.min_similarity ?? 0.3)) return undefined
    const similarity = found.similarity.toFixed(3)
    return {
      model,
      by: 'example',
      detail: `examples.${found.model}[${found.example}], similarity ${similarity}`,
    }
  } catch (error) {
    onFailure(error)
    return undefined
  }
}

/** Chooses among all models, then the closest one that can answer; of two equally close ones, the larger. */
function bySize({ entry, facts }: Choosing, models: readonly Model[]): Decision | undefined {
  if (!entry.by_size) return undefined
  const { index, intent, tokens } = chosenBySize(facts.text, entry.by_size, entry.models.length)
  const distance = ({ alias }: Model): number => {
    const away = entry.models.indexOf(alias) - index
    return away >= 0 ? away : -away + 0.5
  }
  const [model] = models.toSorted((a, b) => distance(a) - distance(b))
  return model && { model, by: 'size', detail: `${tokens} tokens, ${intent ?? 'no intent'}` }
}

function preferred({ default: name }: AutoModelEntry, models: readonly Model[]): Model | undefined {
  return models.find(({ alias }) => alias === name)
}

function applies(rule: AutoRule, facts: AutoFacts, client: ClientName | undefined): boolean {
  const { features, promptTokens, language } = facts
  const { min_prompt_tokens: least = 0, max_prompt_tokens: most = Number.POSITIVE_INFINITY } = rule
  const checks: readonly (boolean | undefined)[] = [
    rule.modalities?.some((modality) => features.has(modality)),
    rule.tools === undefined ? undefined : features.has('tools') === rule.tools,
    promptTokens >= least && promptTokens <= most,
    rule.languages && language !== undefined && rule.languages.includes(language),
    rule.languages ? language !== undefined : undefined,
    rule.clients?.includes(client?.id ?? ''),
    rule.groups?.includes(client?.group ?? ''),
    rule.words?.some((word) => holds(facts.text, word)),
  ]
  return checks.every((check) => check !== false)
}

function holds(text: string, phrase: string): boolean {
  const words = (of: string): string =>
    ` ${
      of
        .toLowerCase()
        .match(/[\p{L}\p{N}]+/gu)
        ?.join(' ') ?? ''
    } `
  const wanted = words(phrase)
  return wanted.trim() !== '' && words(text).includes(wanted)
}
