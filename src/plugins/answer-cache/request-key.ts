import type { FastifyRequest } from 'fastify'
import type { AnswerDigests, KeyPart } from '../../processors/cache/answer-key.ts'
import { answerForm } from '../../processors/cache/kept-answer.ts'
import type { RelayServices } from '../../relay/services.ts'
import type { ClientKey } from '../../sdk/client-key.ts'
import type { Dialect } from '../../sdk/dialect.ts'
import type { Model } from '../../sdk/target.ts'
import type { AnswerKey } from '../../stores/answers/store.ts'
import { permissionsRevision } from './client-rights.ts'
import type { CacheRule } from './rules.ts'

/** What a request asks for. */
export interface Asked {
  readonly model: Model
  /** The name that the client asked for. */
  readonly alias: string
  readonly dialect: Dialect
  readonly services: Pick<RelayServices, 'canary'>
  /** Of its body. */
  readonly parts: readonly KeyPart[]
}

interface KeyOptions {
  readonly digests: AnswerDigests
  readonly rule: CacheRule
  readonly request: FastifyRequest
  /** Revision of the configuration of processors. */
  readonly processors: string
  revisionOf(model: Model): string
}

/** Stands for the client of answers that several clients share. */
export const sharedClient = ''

/** All that an answer depends on. */
export function answerKey(
  { model, alias, dialect, services, parts }: Asked,
  { digests, rule, request, processors, revisionOf }: KeyOptions,
): AnswerKey {
  const { client, headers } = request
  const { docs } = request.routeOptions.config
  const owner = ownerOf(rule, client)
  const forwarded = [...model.targets, ...model.sleeping].flatMap(({ type }) => type.forwardedHeaders ?? [])
  const digest = digests.of([
    ...[answerForm, rule.scope, owner, client ? permissionsRevision(client) : ''],
    ...[model.alias, alias, revisionOf(model), processors],
    ...[docs ? docs.id : (request.routeOptions.url ?? ''), dialect.name, String(services.canary)],
    ...[...new Set(forwarded)].map((name) => String(headers[name])),
    ...parts,
  ])
  const isOwn = rule.scope === 'client'
  return { model: model.alias, client: isOwn ? (client?.id ?? sharedClient) : sharedClient, digest }
}

/** Who gets the answer again. */
function ownerOf({ scope }: CacheRule, client: ClientKey | undefined): string {
  if (scope === 'all') return ''
  // A client without a group shares with nobody.
  if (scope === 'group' && client?.group !== undefined) return `group/${client.group}`
  return `client/${client?.id ?? ''}`
}
