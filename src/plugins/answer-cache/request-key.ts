import type { FastifyRequest } from 'fastify'
import type { AnswerDigests, KeyPart } from '../../processors/cache/answer-key.ts'
import { entryVersion } from '../../processors/cache/cached-answer.ts'
import type { RelayServices } from '../../relay/services.ts'
import type { ClientKey } from '../../sdk/client-key.ts'
import type { Dialect } from '../../sdk/dialect.ts'
import { allTargets, type Model } from '../../sdk/target.ts'
import type { AnswerKey } from '../../stores/answer-cache/store.ts'
import { permissionsRevision } from './client-rights.ts'
import type { CacheRule } from './rules.ts'

/** What a cache key is computed from. */
export interface CacheKeyInput {
  readonly model: Model
  /** The model name that the client used. */
  readonly alias: string
  readonly dialect: Dialect
  readonly services: Pick<RelayServices, 'canary'>
  /** Members of the body. */
  readonly parts: readonly KeyPart[]
}

interface KeyOptions {
  readonly digests: AnswerDigests
  readonly rule: CacheRule
  readonly request: FastifyRequest
  /** Revision of the processor configuration. */
  readonly processors: string
  revisionOf(model: Model): string
}

/** Client id of entries that several clients share. */
export const sharedClient = ''

/** The cache key: an HMAC over everything that the response depends on. */
export function answerKey(
  { model, alias, dialect, services, parts }: CacheKeyInput,
  { digests, rule, request, processors, revisionOf }: KeyOptions,
): AnswerKey {
  const { client, headers } = request
  const { docs } = request.routeOptions.config
  const owner = ownerOf(rule, client)
  const forwarded = allTargets(model).flatMap(({ type }) => type.forwardedHeaders ?? [])
  const digest = digests.of([
    entryVersion,
    rule.scope,
    owner,
    client ? permissionsRevision(client) : '',
    model.alias,
    alias,
    revisionOf(model),
    processors,
    docs ? docs.id : (request.routeOptions.url ?? ''),
    dialect.name,
    String(services.canary),
    ...[...new Set(forwarded)].map((name) => String(headers[name])),
    ...parts,
  ])
  const isOwn = rule.scope === 'client'
  return { model: model.alias, client: isOwn ? (client?.id ?? sharedClient) : sharedClient, digest }
}

/** The scope within which an entry is shared. */
function ownerOf({ scope }: CacheRule, client: ClientKey | undefined): string {
  if (scope === 'all') return ''
  // A client without a group shares nothing.
  if (scope === 'group' && client?.group !== undefined) return `group/${client.group}`
  return `client/${client?.id ?? ''}`
}
