import type { ConfiguredProcessor, ProcessorScope } from '../../config/processors/read.ts'
import type { GuardrailEntry, MaskingEntry } from '../../config/processors/schema.ts'
import type { Config } from '../../config/settings.ts'
import type { Judge } from '../../processors/guardrails/judge.ts'
import { localJudge } from '../../processors/guardrails/local-judge.ts'
import { httpJudge, moderationsJudge, pythonJudge } from '../../processors/guardrails/service-judges.ts'
import type { MaskingPlan, MaskingService } from '../../processors/masking/masking.ts'
import { MaskingRules } from '../../processors/masking/masking-rules.ts'
import { presidio } from '../../processors/masking/presidio.ts'
import type { PseudonymStyle } from '../../processors/masking/pseudonyms.ts'
import { pythonMasker } from '../../processors/masking/python-masker.ts'
import type { ClientKey } from '../../sdk/client-key.ts'
import { ConfigError } from '../../sdk/errors.ts'
import { type BuiltInKind, builtInKinds } from '../../sdk/masked-kinds.ts'
import type { ContentProcessor, ProcessorType } from '../../sdk/processor.ts'
import type { Registry } from '../../sdk/registry.ts'
import { postJson } from './post-json.ts'

/** What a processor asks of a client. */
export type ClientName = Pick<ClientKey, 'id' | 'group'>

interface Common extends ProcessorScope {
  appliesTo(models: readonly string[], client: ClientName | undefined): boolean
}

export interface MaskingProcessor extends Common {
  readonly type: 'masking'
  readonly plan: MaskingPlan
  readonly passesMedia: boolean
  styleOf(kind: string): PseudonymStyle
}

export interface OwnProcessor extends Common {
  readonly type: 'own'
  readonly processor: ContentProcessor
}

export type CompiledProcessor = MaskingProcessor | OwnProcessor

/** The processors in use, in their order, and the one for requests that ask to be masked. */
export interface CompiledProcessors {
  readonly list: readonly CompiledProcessor[]
  readonly onRequest: MaskingProcessor
}

const defaultCountries = ['PL', 'US', 'GB']

/** Makes the processors of a configuration. Throws ConfigError, with the path of what is wrong. */
export function compiled(
  configured: readonly ConfiguredProcessor[],
  config: Config,
  types: Pick<Registry<ProcessorType>, 'find' | 'names'>,
): CompiledProcessors {
  const errors: string[] = []
  const onRequest = maskingOf(requested(config), everywhere('masking'))
  const forced = config.forceMasking ? [{ ...onRequest, name: 'forced-masking' }] : []
  const list = configured.flatMap((entry): CompiledProcessor[] => {
    if (entry.type === 'cache') return []
    const scope = { ...entry, appliesTo: scopeTest(entry) }
    if (entry.type === 'retrieval') return [] // before all of these: see plugins/retrieval
    if (entry.type === 'masking') return [maskingOf(entry.entry, scope)]
    if (entry.type === 'guardrail')
      return [{ ...commonOf(scope), type: 'own', processor: guardrail(entry.entry) }]
    const { type, options = {} } = entry.entry
    const known = types.find(type)
    if (!known) {
      const names = ['masking', 'guardrail', ...types.names()].join(', ')
      errors.push(`${entry.path}.type: no processor ${JSON.stringify(type)}; known: ${names}`)
      return []
    }
    try {
      return [{ ...commonOf(scope), type: 'own', processor: known.create(options) }]
    } catch (error) {
      errors.push(`${entry.path}.options: ${error instanceof Error ? error.message : String(error)}`)
      return []
    }
  })
  if (errors.length > 0) throw new ConfigError(errors)
  const own = guardrailsOf(config).map((entry): OwnProcessor => {
    const common = { ...everywhere(`forced-${entry.service?.type}`), timeoutMs: forcedGuardTimeoutMs }
    return { ...common, type: 'own', processor: guardrail(entry) }
  })
  const early = configured.filter((entry) => entry.type === 'guardrail' && entry.entry.before === 'masking')
  const isEarly = ({ name }: CompiledProcessor): boolean => early.some((entry) => entry.name === name)
  const masking = [...list.filter(({ type }) => type === 'masking'), ...forced]
  const others = list.filter((each) => each.type !== 'masking' && !isEarly(each))
  return { list: [...list.filter(isEarly), ...masking, ...others, ...own], onRequest }
}

/** Masking as the variables have it. */
function requested({ maskingPipeline, maskerPiiHost }: Config): MaskingEntry {
  const usesBuiltIn = maskingPipeline.length === 0 || maskingPipeline.includes('fast_masker')
  return {
    type: 'masking',
    ...(usesBuiltIn ? {} : { kinds: Object.fromEntries(builtInKinds.map((kind) => [kind, false])) }),
    ...(maskingPipeline.includes('pii_masker')
      ? { services: [{ type: 'pii_masker' as const, url: maskerPiiHost }] }
      : {}),
  }
}

/** The Python llm-router waited so long for its guardrails, in milliseconds. */
const forcedGuardTimeoutMs = 60_000

/** Guardrails as the variables have them. */
function guardrailsOf({
  forceGuardrailRequest,
  guardrailPipeline,
  naskGuardHost,
  sojkaGuardHost,
}: Config): GuardrailEntry[] {
  if (!forceGuardrailRequest) return []
  const urls = { nask_guard: naskGuardHost, sojka_guard: sojkaGuardHost }
  return guardrailPipeline.map((type) => ({ type: 'guardrail', service: { type, url: urls[type] } }))
}

function guardrail({
  words = [],
  expressions = [],
  service,
  action,
  sample = 1,
}: GuardrailEntry): ContentProcessor {
  const judges = [
    ...(words.length + expressions.length > 0 ? [localJudge(words, expressions)] : []),
    ...(service ? [judgeOf(service)] : []),
  ]
  return {
    async request(contents, { signal }) {
      const texts = contents.filter((text) => text.trim() !== '')
      if (texts.length === 0 || (sample < 1 && Math.random() >= sample)) return { type: 'pass' }
      const verdicts = await Promise.all(judges.map((judge) => judge(texts, signal)))
      if (!verdicts.includes('unsafe')) return { type: 'pass' }
      return { type: action === 'flag' ? 'flag' : 'block' }
    },
  }
}

function judgeOf({ type, url, model }: NonNullable<GuardrailEntry['service']>): Judge {
  switch (type) {
    case 'http':
      return httpJudge(url, postJson)
    case 'moderations':
      return moderationsJudge(url, model, postJson)
    case 'nask_guard':
    case 'sojka_guard':
      return pythonJudge(type, url, postJson)
  }
}

function commonOf({ name, models, groups, clients, failure, timeoutMs, appliesTo }: Common): Common {
  return { name, models, groups, clients, failure, timeoutMs, appliesTo }
}

function everywhere(name: string): Common {
  const all = { models: undefined, groups: undefined, clients: undefined }
  return { name, ...all, failure: 'closed', timeoutMs: 5_000, appliesTo: () => true }
}

export function scopeTest({ models, groups, clients }: ProcessorScope): Common['appliesTo'] {
  return (used, client) => {
    if (models && !used.some((model) => models.includes(model))) return false
    if (!groups && !clients) return true
    if (!client) return false
    const isInGroup = client.group !== undefined && groups?.includes(client.group) === true
    return isInGroup || clients?.includes(client.id) === true
  }
}

function maskingOf(entry: MaskingEntry, scope: Common): MaskingProcessor {
  const { kinds = {}, words = {}, expressions = {}, styles = {}, services = [] } = entry
  const off = builtInKinds.filter((kind): kind is BuiltInKind => kinds[kind] === false)
  const lists = Object.entries(expressions).map(([kind, list]): [string, string[]] => [kind, [list].flat()])
  const rules = new MaskingRules({
    ...{ off, words, expressions: Object.fromEntries(lists) },
    phoneCountries: entry.phone_countries ?? defaultCountries,
  })
  return {
    ...commonOf(scope),
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
