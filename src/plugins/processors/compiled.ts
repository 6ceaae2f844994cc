import type { GuardrailEntry } from '../../config/processors/guardrail-schema.ts'
import type { ConfiguredProcessor, ProcessorScope } from '../../config/processors/read.ts'
import type { MaskingEntry } from '../../config/processors/schema.ts'
import type { Config } from '../../config/settings/settings.ts'
import { didYouMean } from '../../lib/did-you-mean.ts'
import type { MaskingPlan, MaskingService } from '../../processors/masking/masking.ts'
import { MaskingRules } from '../../processors/masking/masking-rules.ts'
import { presidio } from '../../processors/masking/presidio.ts'
import type { PseudonymStyle } from '../../processors/masking/pseudonyms.ts'
import { pythonMasker } from '../../processors/masking/python-masker.ts'
import { processorErrors } from '../../sdk/checks/processor.ts'
import type { ClientKey } from '../../sdk/client-key.ts'
import { ConfigError } from '../../sdk/errors.ts'
import { type BuiltInKind, builtInKinds } from '../../sdk/masked-kinds.ts'
import type { ContentProcessor, ProcessorType } from '../../sdk/processor.ts'
import type { Registry } from '../../sdk/registry.ts'
import { type AskRouterModel, answerStageOf, guardrail, onlyJudges } from './guardrail.ts'
import { postJson } from './post-json.ts'

/** Properties of a processor. */
export type ClientName = Pick<ClientKey, 'id' | 'group'>

interface AppliedScope extends ProcessorScope {
  appliesTo(models: readonly string[], client: ClientName | undefined): boolean
}

export interface MaskingProcessor extends AppliedScope {
  readonly type: 'masking'
  readonly plan: MaskingPlan
  readonly passesMedia: boolean
  styleOf(kind: string): PseudonymStyle
}

export interface OwnProcessor extends AppliedScope {
  readonly type: 'own'
  readonly processor: ContentProcessor
  /** When it processes responses: before or after values are restored. */
  readonly answerStage: 'early' | 'late'
  /** Whether it never changes contents. */
  readonly onlyJudges: boolean
  /** Share of requests that it applies to. */
  readonly sample: number
  /** Creates the processor for one request, if it calls models. */
  readonly forRequest?: (ask: AskRouterModel) => ContentProcessor
}

export type CompiledProcessor = MaskingProcessor | OwnProcessor

/** The processors in use, in order, and the one for requests that ask for masking. */
export interface CompiledProcessors {
  readonly list: readonly CompiledProcessor[]
  readonly onRequest: MaskingProcessor
}

const defaultCountries = ['PL', 'US', 'GB']

/** Creates the processors of a configuration. Throws ConfigError with the paths of all errors. */
export function compileProcessors(
  configured: readonly ConfiguredProcessor[],
  config: Config,
  types: Pick<Registry<ProcessorType>, 'find' | 'names'>,
  extensionOf: (type: string) => string | undefined = () => undefined,
): CompiledProcessors {
  const errors: string[] = []
  const onRequest = maskingOf(maskingEntryOf(config), everywhere('masking'))
  const forced = config.forceMasking ? [{ ...onRequest, name: 'forced-masking' }] : []
  const list = configured.flatMap((entry): CompiledProcessor[] => {
    if (entry.type === 'cache') return []
    const scope = { ...entry, appliesTo: scopeTest(entry) }
    if (entry.type === 'retrieval') return [] // before all of these: see plugins/retrieval
    if (entry.type === 'masking') return [maskingOf(entry.entry, scope)]
    if (entry.type === 'guardrail') return [guardrailOf(entry.entry, scope)]
    const { type, options = {} } = entry.entry
    const known = types.find(type)
    if (!known) {
      const names = ['masking', 'guardrail', 'retrieval', 'cache', ...types.names()]
      const hint = didYouMean(type, names)
      errors.push(
        `${entry.path}.type: no processor ${JSON.stringify(type)}; known: ${names.join(', ')}${hint}`,
      )
      return []
    }
    try {
      const processor = known.create(options)
      const wrong = processorErrors(processor)
      if (wrong.length > 0) {
        const what = `processor type "${type}" of "${extensionOf(type)}"`
        errors.push(`${entry.path}.type: ${what}: the object that 'create' returns: ${wrong.join('; ')}`)
        return []
      }
      return [
        { ...scopeOf(scope), type: 'own', processor, answerStage: 'late', onlyJudges: false, sample: 1 },
      ]
    } catch (error) {
      errors.push(`${entry.path}.options: ${error instanceof Error ? error.message : String(error)}`)
      return []
    }
  })
  if (errors.length > 0) throw new ConfigError(errors)
  const own = forcedGuardrails(config).map((entry) =>
    guardrailOf(entry, {
      ...everywhere(`forced-${entry.service?.type}`),
      timeoutMs: forcedGuardTimeoutMs,
    }),
  )
  const early = configured.filter((entry) => entry.type === 'guardrail' && entry.entry.before === 'masking')
  const isEarly = ({ name }: CompiledProcessor): boolean => early.some((entry) => entry.name === name)
  const masking = [...list.filter(({ type }) => type === 'masking'), ...forced]
  const others = list.filter((each) => each.type !== 'masking' && !isEarly(each))
  return { list: [...list.filter(isEarly), ...masking, ...others, ...own], onRequest }
}

/** Masking as configured by variables. */
function maskingEntryOf({ maskingPipeline, maskerPiiHost }: Config): MaskingEntry {
  const usesBuiltIn = maskingPipeline.length === 0 || maskingPipeline.includes('fast_masker')
  return {
    type: 'masking',
    ...(usesBuiltIn ? {} : { kinds: Object.fromEntries(builtInKinds.map((kind) => [kind, false])) }),
    ...(maskingPipeline.includes('pii_masker')
      ? { services: [{ type: 'pii_masker' as const, url: maskerPiiHost }] }
      : {}),
  }
}

/** Timeout of guardrails in the Python llm-router, in milliseconds. */
const forcedGuardTimeoutMs = 60_000

/** Guardrails as configured by variables. */
function forcedGuardrails(config: Config): GuardrailEntry[] {
  const requests = config.forceGuardrailRequest ? config.guardrailPipeline : []
  const answers = config.forceGuardrailResponse ? config.answerGuardrailPipeline : []
  const urls = { nask_guard: config.naskGuardHost, sojka_guard: config.sojkaGuardHost }
  return [...new Set([...requests, ...answers])].map((type) => {
    const on = requests.includes(type) ? (answers.includes(type) ? 'both' : 'request') : 'response'
    return { type: 'guardrail', on, service: { type, url: urls[type] } }
  })
}

function guardrailOf(entry: GuardrailEntry, scope: AppliedScope): OwnProcessor {
  const make = guardrail(entry)
  return {
    ...scopeOf(scope),
    type: 'own',
    processor: make(() => Promise.reject(new Error('no request asks'))),
    ...(entry.service?.type === 'model' ? { forRequest: make } : {}),
    answerStage: answerStageOf(entry),
    onlyJudges: onlyJudges(entry),
    sample: entry.sample ?? 1,
  }
}

function scopeOf({
  name,
  models,
  groups,
  clients,
  failure,
  timeoutMs,
  appliesTo,
}: AppliedScope): AppliedScope {
  return { name, models, groups, clients, failure, timeoutMs, appliesTo }
}

function everywhere(name: string): AppliedScope {
  const all = { models: undefined, groups: undefined, clients: undefined }
  return { name, ...all, failure: 'closed', timeoutMs: 5_000, appliesTo: () => true }
}

export function scopeTest({ models, groups, clients }: ProcessorScope): AppliedScope['appliesTo'] {
  return (used, client) => {
    if (models && !used.some((model) => models.includes(model))) return false
    if (!groups && !clients) return true
    if (!client) return false
    const isInGroup = client.group !== undefined && groups?.includes(client.group) === true
    return isInGroup || clients?.includes(client.id) === true
  }
}

function maskingOf(entry: MaskingEntry, scope: AppliedScope): MaskingProcessor {
  const { kinds = {}, words = {}, expressions = {}, styles = {}, services = [] } = entry
  const off = builtInKinds.filter((kind): kind is BuiltInKind => kinds[kind] === false)
  const lists = Object.entries(expressions).map(([kind, list]): [string, string[]] => [kind, [list].flat()])
  const rules = new MaskingRules({
    off,
    words,
    expressions: Object.fromEntries(lists),
    phoneCountries: entry.phone_countries ?? defaultCountries,
  })
  return {
    ...scopeOf(scope),
    type: 'masking',
    plan: {
      rules,
      services: services.map(serviceOf),
      system: entry.system ?? true,
      restores: entry.unmask ?? true,
    },
    passesMedia: entry.media === 'pass',
    styleOf: (kind) => styles[kind] ?? 'word',
  }
}

function serviceOf(service: NonNullable<MaskingEntry['services']>[number]): MaskingService {
  const { type, url, language = 'en', min_score: minScore = 0.5, entities } = service
  return type === 'presidio'
    ? presidio({ url, language, minScore, entities }, postJson)
    : pythonMasker({ url }, postJson)
}
