import { didYouMean } from '../../lib/did-you-mean.ts'
import { isObject } from '../../lib/json/read.ts'
import { isLinkLocalOrMetadata } from '../../lib/link-local.ts'
import { isOwnHost } from '../../lib/own-host.ts'
import { builtInKinds, literalKind, shapedKinds } from '../../sdk/masked-kinds.ts'
import { checkPart, type Findings } from '../models-check.ts'
import { type CacheEntry, CacheSchema } from './cache-schema.ts'
import { expressionError } from './expression-error.ts'
import { checkRetrieval } from './retrieval-check.ts'
import {
  type GuardrailEntry,
  GuardrailSchema,
  type MaskingEntry,
  MaskingSchema,
  type OtherProcessorEntry,
  OtherProcessorSchema,
  type RetrievalEntry,
  RetrievalSchema,
} from './schema.ts'

/** What applies to all processors. */
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

/** Reads `processors`. What is invalid goes to the findings and is left out. */
export function readProcessors(
  root: Readonly<Record<string, unknown>>,
  known: { models: ReadonlySet<string>; mayGrow: boolean },
  findings: Findings,
): ConfiguredProcessor[] {
  const { processors: written = [] } = root
  if (!Array.isArray(written)) {
    findings.errors.push(
      'processors: not a list of processors; the name is reserved for it, so a group of models needs another name',
    )
    return []
  }
  const pathOf = new Map<string, string>()
  return written.flatMap((value: unknown, index): ConfiguredProcessor[] => {
    const path = `processors[${index}]`
    const processor = readOne(value, path, findings)
    if (!processor) return []
    const { name, models = [] } = processor
    const earlier = pathOf.get(name)
    if (earlier !== undefined)
      findings.errors.push(
        `${path}.name: ${JSON.stringify(name)} is also the name of ${earlier}; each needs its own`,
      )
    pathOf.set(name, earlier ?? path)
    for (const [at, model] of models.entries())
      if (!known.models.has(model)) {
        const text = `${path}.models[${at}]: no active model ${JSON.stringify(model)}${didYouMean(model, known.models)}`
        if (known.mayGrow) findings.warnings.push(`${text}; it applies once a server has it`)
        else findings.errors.push(text)
      }
    if (processor.type === 'masking') checkMasking(processor.entry, path, findings)
    if (processor.type === 'retrieval') checkRetrieval(processor.entry, path, known, findings)
    if (processor.type === 'guardrail') checkGuardrail(processor.entry, path, findings)
    return [processor]
  })
}

function readOne(value: unknown, path: string, findings: Findings): ConfiguredProcessor | undefined {
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

/** A cache that is slower saves no time, in milliseconds. */
const defaultCacheTimeoutMs = 500

/** The Python llm-router waited so long for its guardrails, in milliseconds. */
const pythonGuardTimeoutMs = 60_000

function scopeOf(
  entry: MaskingEntry | GuardrailEntry | RetrievalEntry | CacheEntry | OtherProcessorEntry,
): ProcessorScope {
  const isPython = 'service' in entry && /^(?:nask|sojka)_guard$/.test(entry.service?.type ?? '')
  const usualMs = isPython ? pythonGuardTimeoutMs : defaultTimeoutMs
  return {
    name: entry.name ?? entry.type,
    models: entry.models,
    groups: entry.groups,
    clients: entry.clients,
    failure: entry.failure ?? 'closed',
    timeoutMs: entry.timeout === undefined ? usualMs : entry.timeout * 1000,
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
  for (const [member, own] of [
    ['words', words],
    ['expressions', expressions],
  ] as const)
    for (const kind of Object.keys(own))
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

function checkAddress(url: string, at: string, errors: string[]): void {
  if (!URL.canParse(url)) errors.push(`${at}: not an http:// or https:// address`)
  else if (isLinkLocalOrMetadata(hostOf(url))) errors.push(`${at}: a link-local address`)
}

function hostOf(url: string): string {
  return new URL(url).hostname.replace(/^\[|\]$/g, '')
}

function checkGuardrail(
  { words = [], expressions = [], service, before, action, sample }: GuardrailEntry,
  path: string,
  { errors }: Findings,
): void {
  if (words.length === 0 && expressions.length === 0 && !service)
    errors.push(`${path}: a guardrail needs words, expressions or a service`)
  for (const [index, expression] of expressions.entries()) {
    const error = expressionError(expression)
    if (error !== undefined) errors.push(`${path}.expressions[${index}]: ${error}`)
  }
  if (sample !== undefined && action !== 'flag') errors.push(`${path}.sample: only with "action": "flag"`)
  if (!service) return
  checkAddress(service.url, `${path}.service.url`, errors)
  if (before === 'masking' && URL.canParse(service.url) && !isOwnHost(hostOf(service.url)))
    errors.push(
      `${path}.before: ${JSON.stringify(before)} would send unmasked contents out of the local network; remove it`,
    )
}
