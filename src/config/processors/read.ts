import { didYouMean } from '../../lib/did-you-mean.ts'
import { isObject } from '../../lib/json/read.ts'
import { builtInKinds, literalKind, shapedKinds } from '../../sdk/masked-kinds.ts'
import { checkPart, type Findings } from '../models/check.ts'
import { checkModelName, type KnownModels } from '../models/known-models.ts'
import { expandVariables, type SecretSources } from '../secrets.ts'
import { type CacheEntry, CacheSchema } from './cache-schema.ts'
import { checkAddress, checkGuardrail } from './check-guardrail.ts'
import { expressionError } from './expression-error.ts'
import { type GuardrailEntry, GuardrailSchema } from './guardrail-schema.ts'
import {
  type MaskingEntry,
  MaskingSchema,
  type OtherProcessorEntry,
  OtherProcessorSchema,
  type RetrievalEntry,
  RetrievalSchema,
} from './schema.ts'

/** Fields of all processors. */
export interface ProcessorScope {
  readonly name: string
  readonly models: readonly string[] | undefined
  readonly groups: readonly string[] | undefined
  readonly clients: readonly string[] | undefined
  readonly failure: 'closed' | 'open'
  readonly timeoutMs: number
}

export type ConfiguredProcessor = ProcessorScope & { readonly path: string } & (
    | { readonly type: 'masking'; readonly entry: MaskingEntry }
    | { readonly type: 'guardrail'; readonly entry: GuardrailEntry }
    | { readonly type: 'retrieval'; readonly entry: RetrievalEntry }
    | { readonly type: 'cache'; readonly entry: CacheEntry }
    | { readonly type: 'other'; readonly entry: OtherProcessorEntry }
  )

const defaultTimeoutMs = 5_000

/** What processors refer to. */
export interface ProcessorReferences extends KnownModels {
  readonly env: SecretSources['env']
}

/** Reads `processors`. Invalid entries are reported in the findings and omitted. */
export function readProcessors(
  root: Readonly<Record<string, unknown>>,
  known: ProcessorReferences,
  findings: Findings,
): ConfiguredProcessor[] {
  const { processors: list = [] } = root
  if (!Array.isArray(list)) {
    findings.errors.push(
      'processors: not a list of processors; this name is reserved, so rename the group of models',
    )
    return []
  }
  const pathOf = new Map<string, string>()
  return list.flatMap((value: unknown, index): ConfiguredProcessor[] => {
    const path = `processors[${index}]`
    const processor = readProcessor(value, path, findings)
    if (!processor) return []
    const { name, models = [] } = processor
    const earlier = pathOf.get(name)
    if (earlier !== undefined)
      findings.errors.push(
        `${path}.name: ${JSON.stringify(name)} is also the name of ${earlier}; names must be unique`,
      )
    pathOf.set(name, earlier ?? path)
    for (const [at, model] of models.entries())
      checkModelName(model, `${path}.models[${at}]`, known, findings, appliesLater)
    if (processor.type === 'masking') checkMasking(processor.entry, path, findings)
    if (processor.type === 'retrieval') {
      checkRetrieval(processor.entry, path, known, findings)
      return [{ ...processor, entry: withSearchToken(processor.entry, path, known, findings) }]
    }
    if (processor.type !== 'guardrail') return [processor]
    const { service } = processor.entry
    checkGuardrail(processor.entry, path, findings)
    if (service?.type === 'model' && service.model !== undefined)
      checkModelName(service.model, `${path}.service.model`, known, findings, appliesLater)
    return [{ ...processor, entry: withGuardToken(processor.entry, path, known, findings) }]
  })
}

const appliesLater = 'it applies once a server has it'

function withGuardToken(
  entry: GuardrailEntry,
  path: string,
  { env }: ProcessorReferences,
  { errors }: Findings,
): GuardrailEntry {
  const { service } = entry
  if (service?.api_token === undefined) return entry
  const token = readToken(service.api_token, `${path}.service.api_token`, env, errors)
  return { ...entry, service: { ...service, api_token: token } }
}

/** The same for a search service, whose key was called `token` before it had the name that it has everywhere else. */
function withSearchToken(
  entry: RetrievalEntry,
  path: string,
  { env }: ProcessorReferences,
  { errors }: Findings,
): RetrievalEntry {
  const { service } = entry
  const name = service?.api_token === undefined ? 'token' : 'api_token'
  const reference = service?.[name]
  if (!service || reference === undefined) return entry
  if (name === 'api_token' && service.token !== undefined)
    errors.push(`${path}.service.token: api_token is set too; remove token, its earlier name`)
  const token = readToken(reference, `${path}.service.${name}`, env, errors)
  return { ...entry, service: { ...service, api_token: token } }
}

function readToken(sent: string, path: string, env: SecretSources['env'], errors: string[]): string {
  const token = expandVariables(sent, path, env, errors).trim()
  if (!/^[\x20-\x7e]*$/.test(token))
    errors.push(`${path}: contains a character that is not allowed in an HTTP header`)
  return token
}

function readProcessor(value: unknown, path: string, findings: Findings): ConfiguredProcessor | undefined {
  const type = isObject(value) ? value.type : undefined
  if (type === 'masking') return readMasking(value, path, findings)
  if (type === 'retrieval') {
    const entry = checkPart(RetrievalSchema, value, path, findings)
    return entry && { type, entry, path, ...scopeOf(entry) }
  }
  if (type === 'cache') return readCache(value, path, findings)
  if (type !== 'guardrail') return readOther(value, path, findings)
  const entry = checkPart(GuardrailSchema, value, path, findings)
  return entry && { type, entry, path, ...scopeOf(entry) }
}

function readMasking(value: unknown, path: string, findings: Findings): ConfiguredProcessor | undefined {
  const entry = checkPart(MaskingSchema, value, path, findings)
  return entry && { type: 'masking', entry, path, ...scopeOf(entry) }
}

function readCache(value: unknown, path: string, findings: Findings): ConfiguredProcessor | undefined {
  const entry = checkPart(CacheSchema, value, path, findings)
  const { timeout = defaultCacheTimeoutMs / 1000 } = entry ?? {}
  return entry && { type: 'cache', entry, path, ...scopeOf({ ...entry, failure: 'open', timeout }) }
}

function readOther(value: unknown, path: string, findings: Findings): ConfiguredProcessor | undefined {
  const entry = checkPart(OtherProcessorSchema, value, path, findings)
  return entry && { type: 'other', entry, path, ...scopeOf(entry) }
}

/** A cache that takes longer saves no time, in milliseconds. */
const defaultCacheTimeoutMs = 500

/** Timeout of the guardrails of the Python llm-router, in milliseconds. */
const pythonGuardTimeoutMs = 60_000

function scopeOf(
  entry: MaskingEntry | GuardrailEntry | RetrievalEntry | CacheEntry | OtherProcessorEntry,
): ProcessorScope {
  const isPython = 'service' in entry && /^(?:nask|sojka)_guard$/.test(entry.service?.type ?? '')
  const defaultMs = isPython ? pythonGuardTimeoutMs : defaultTimeoutMs
  return {
    name: entry.name ?? entry.type,
    models: entry.models,
    groups: entry.groups,
    clients: entry.clients,
    // What only observes must not reject.
    failure: entry.failure ?? ('action' in entry && entry.action === 'flag' ? 'open' : 'closed'),
    timeoutMs: entry.timeout === undefined ? defaultMs : entry.timeout * 1000,
  }
}

function checkMasking(
  { kinds = {}, words = {}, expressions = {}, styles = {}, services = [] }: MaskingEntry,
  path: string,
  { errors }: Findings,
): void {
  for (const kind of Object.keys(kinds))
    if (!builtInKinds.some((known) => known === kind))
      errors.push(
        `${path}.kinds.${kind}: no built-in kind ${JSON.stringify(kind)}; known: ${builtInKinds.join(', ')}${didYouMean(kind, builtInKinds)}`,
      )
  for (const [member, byKind] of [
    ['words', words],
    ['expressions', expressions],
  ] as const)
    for (const kind of Object.keys(byKind))
      if (kind === literalKind) errors.push(`${path}.${member}.${kind}: this kind is reserved`)
  for (const [kind, list] of Object.entries(expressions))
    for (const [index, expression] of [list].flat().entries()) {
      const at = Array.isArray(list) ? `${path}.expressions.${kind}[${index}]` : `${path}.expressions.${kind}`
      const error = expressionError(expression)
      if (error !== undefined) errors.push(`${at}: ${error}`)
    }
  for (const [kind, style] of Object.entries(styles))
    if (style === 'shaped' && !shapedKinds.some((known) => known === kind))
      errors.push(`${path}.styles.${kind}: only ${shapedKinds.join(', ')} can be "shaped"`)
  for (const [index, { url }] of services.entries())
    checkAddress(url, `${path}.services[${index}].url`, errors)
}

/** Reports missing and contradictory fields of a retrieval. */
function checkRetrieval(
  { index, embedding_model: model, service, clients = [], groups = [] }: RetrievalEntry,
  path: string,
  known: KnownModels,
  findings: Findings,
): void {
  const { errors, warnings } = findings
  if ((index === undefined) === (service === undefined)) errors.push(`${path}: set either index or service`)
  if (index !== undefined && model === undefined)
    errors.push(`${path}.embedding_model: missing; set it to the model that created the index`)
  if (service && model !== undefined) warnings.push(`${path}.embedding_model: has no effect with service`)
  if (index !== undefined && model !== undefined)
    checkModelName(model, `${path}.embedding_model`, known, findings)
  if (clients.length + groups.length === 0)
    warnings.push(
      `${path}: no client may use it, because clients and groups are empty; "clients": ["*"] permits all`,
    )
  if (service) checkAddress(service.url, `${path}.service.url`, errors)
}
