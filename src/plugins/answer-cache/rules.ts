import { createHash } from 'node:crypto'
import type { CacheEntry } from '../../config/processors/cache-schema.ts'
import type { ConfiguredProcessor, ProcessorScope } from '../../config/processors/read.ts'
import type { Config } from '../../config/settings/settings.ts'
import { allTargets, type Model } from '../../sdk/target.ts'
import { type ClientName, scopeTest } from '../processors/compiled.ts'

/** One configured cache. */
export interface CacheRule {
  readonly name: string
  readonly ttlMs: number
  readonly maxEntryBytes: number
  readonly scope: NonNullable<CacheEntry['scope']>
  readonly tools: boolean
  readonly counts: NonNullable<CacheEntry['counts']>
  readonly timeoutMs: number
  appliesTo(models: readonly string[], client: ClientName | undefined): boolean
}

const defaultEntryBytes = 256 * 1024

/** The configured caches, in order; the one of LLM_ROUTER_CACHE is last. */
export function rulesOf(configured: readonly ConfiguredProcessor[], config: Config): CacheRule[] {
  const rules = configured.flatMap((each) =>
    each.type === 'cache' ? [ruleOf(each.entry, each, config)] : [],
  )
  if (!config.cache) return rules
  const everywhere = { models: undefined, groups: undefined, clients: undefined }
  const common: ProcessorScope = { name: 'cache', ...everywhere, failure: 'open', timeoutMs: 500 }
  return [...rules, ruleOf({ type: 'cache' }, common, config)]
}

function ruleOf(entry: CacheEntry, scope: ProcessorScope, { cacheTtlMs }: Config): CacheRule {
  return {
    name: scope.name,
    ttlMs: entry.ttl === undefined ? cacheTtlMs : entry.ttl * 1000,
    maxEntryBytes: entry.max_entry_bytes ?? defaultEntryBytes,
    scope: entry.scope ?? 'client',
    tools: entry.tools ?? false,
    counts: entry.counts ?? 'requests',
    timeoutMs: scope.timeoutMs,
    appliesTo: scopeTest(scope),
  }
}

/** Changes with the configuration of the caches. */
export function rulesRevision(configured: readonly ConfiguredProcessor[]): string {
  return digestOf(configured.filter(({ type }) => type === 'cache'))
}

/**
 * Changes with the configuration of the other processors, in the file or by variables. Guardrails judge every hit, so their part is
 * not needed for safety: a change of any processor invalidates all entries, as docs/cache.md says.
 */
export function processorsRevision(configured: readonly ConfiguredProcessor[], config: Config): string {
  const { forceMasking, maskingPipeline, maskerPiiHost } = config
  const { forceGuardrailRequest, guardrailPipeline, forceGuardrailResponse, answerGuardrailPipeline } = config
  const { naskGuardHost, sojkaGuardHost } = config
  return digestOf([
    configured.filter(({ type }) => type !== 'cache'),
    forceMasking,
    maskingPipeline,
    maskerPiiHost,
    forceGuardrailRequest,
    guardrailPipeline,
    forceGuardrailResponse,
    answerGuardrailPipeline,
    naskGuardHost,
    sojkaGuardHost,
  ])
}

/** Changes with what the servers of a model are asked, but not with their number or addresses. */
export function modelRevision(model: Model): string {
  const all = allTargets(model).map((target) =>
    JSON.stringify([
      target.type.name,
      target.upstreamModel,
      target.defaults,
      target.dropParams,
      target.toolCalling,
      target.inputSize,
      target.autoContext,
      target.fitMaxTokens,
      target.systemTurns,
      target.profile,
      target.mock,
    ]),
  )
  return digestOf([...new Set(all)].sort())
}

export function digestOf(value: unknown): string {
  return createHash('sha256').update(JSON.stringify(value)).digest('base64url').slice(0, 16)
}
