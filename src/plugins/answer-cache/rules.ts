import { createHash } from 'node:crypto'
import type { CacheEntry } from '../../config/processors/cache-schema.ts'
import type { ConfiguredProcessor, ProcessorScope } from '../../config/processors/read.ts'
import type { Config } from '../../config/settings/settings.ts'
import type { Model } from '../../sdk/target.ts'
import { type ClientName, scopeTest } from '../processors/compiled.ts'

/** Whose answers are kept, and how. */
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

/** The caches of a configuration; that of the variables comes last. */
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

/** Changes with the caches. */
export function rulesRevision(configured: readonly ConfiguredProcessor[]): string {
  return digestOf(configured.filter(({ type }) => type === 'cache'))
}

/** Changes with what processors do to a request or to its answer. */
export function processorsRevision(configured: readonly ConfiguredProcessor[], config: Config): string {
  const { forceMasking, maskingPipeline, maskerPiiHost, forceGuardrailRequest, guardrailPipeline } = config
  const variables = [forceMasking, maskingPipeline, maskerPiiHost, forceGuardrailRequest, guardrailPipeline]
  return digestOf([configured.filter(({ type }) => type !== 'cache'), variables])
}

/** Changes with what servers are asked for the model and with what: not with how many there are, nor with their addresses. */
export function modelRevision({ targets, sleeping }: Model): string {
  const all = [...targets, ...sleeping].map((target) =>
    JSON.stringify([
      ...[target.type.name, target.upstreamModel, target.defaults, target.dropParams, target.toolCalling],
      ...[target.inputSize, target.autoContext, target.fitMaxTokens, target.systemTurns, target.profile],
      target.mock,
    ]),
  )
  return digestOf([...new Set(all)].sort())
}

export function digestOf(value: unknown): string {
  return createHash('sha256').update(JSON.stringify(value)).digest('base64url').slice(0, 16)
}
