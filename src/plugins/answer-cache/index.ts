import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import fp from 'fastify-plugin'
import { madeSecret } from '../../config/masking-secret.ts'
import type { ConfiguredProcessor } from '../../config/processors/read.ts'
import { present } from '../../lib/json/read.ts'
import { AnswerDigests, membersOf, membersOfChat } from '../../processors/cache/answer-key.ts'
import { bypassReason } from '../../processors/cache/bypass.ts'
import { answerForm } from '../../processors/cache/kept-answer.ts'
import type { ClientRequest } from '../../relay/request/client-request.ts'
import type { RelayServices } from '../../relay/services.ts'
import type { ClientKey } from '../../sdk/client-key.ts'
import type { Model } from '../../sdk/target.ts'
import type { AnswerFilter, AnswerKey, AnswerSizes, AnswerStore } from '../../stores/answers/store.ts'
import { openAnswers } from '../../stores/choose.ts'
import type { ClientName } from '../processors/compiled.ts'
import type { Flight } from './flight.ts'
import { KnownClients } from './known-clients.ts'
import { RequestCache } from './request-cache.ts'
import {
  type CacheRule,
  modelRevision,
  permissionsRevision,
  processorsRevision,
  rulesOf,
  rulesRevision,
} from './rules.ts'

declare module 'fastify' {
  interface FastifyInstance {
    /** Complete answers, which are given again to the same request. */
    answerCache: {
      /** Requests from now on use the caches of this configuration. What the change touches is removed. */
      use(configured: readonly ConfiguredProcessor[], models: readonly Model[]): void
      /** The cache for a request to a model whose limits and permissions have been checked; undefined: none applies. */
      begin(request: FastifyRequest, reply: FastifyReply, model: Model): RequestCache | undefined
      /** The cache that would apply, and why it would be passed by. */
      preview(client: ClientRequest, asking: ClientName | undefined): CachePreview | undefined
      /** Removes answers, also those that clients share; gives their number. */
      remove(filter: AnswerFilter): Promise<number>
      /** Undefined where it is not known here. */
      sizes(): AnswerSizes | undefined
      /** How often the store could not be reached, or not in time. */
      readonly failures: number
    }
  }
}

interface CachePreview {
  name: string
  scope: CacheRule['scope']
  bypass?: string
}

/** Stands for the client of answers that several clients share. */
const shared = ''

/**
 * The cache of answers. It stands between what is done to requests and the model: what it keeps is masked, and what it gives again
 * goes through everything that a fresh answer goes through.
 */
export default fp(
  (app, _options, done) => {
    const { cacheSecret } = app.config
    const digests = new AnswerDigests(cacheSecret === '' ? madeSecret() : cacheSecret)
    const flights = new Map<string, Flight>()
    const revisions = new Revisions()
    let rules: readonly CacheRule[] = []
    let opened: AnswerStore | undefined
    let failures = 0
    let processors = ''
    const store = (): AnswerStore => (opened ??= openAnswers(app))
    const failed = (error: unknown): void => {
      failures++
      app.log.debug({ error_name: error instanceof Error ? error.name : typeof error }, 'cache not reached')
    }
    const remove = async ({ model, client }: AnswerFilter): Promise<number> => {
      const filters =
        client === undefined || client === shared
          ? [{ model, client }]
          : [client, shared].map((each) => ({ model, client: each }))
      const removed = await Promise.all(filters.map((filter) => store().remove(filter)))
      return removed.reduce((sum, count) => sum + count, 0)
    }
    const empty = (filter: AnswerFilter): void => {
      if (rules.length > 0 || opened) remove(filter).catch(failed)
    }
    app.decorate('answerCache', {
      use(configured, models) {
        const before = rules
        rules = rulesOf(configured, app.config)
        processors = processorsRevision(configured, app.config)
        const changes = revisions.changed([rulesRevision(configured), processors], models)
        if (before.length === 0 && rules.length === 0) return
        for (const filter of changes) empty(filter)
      },
      begin(request, reply, model) {
        if (rules.length === 0) return undefined
        const rule = ruleFor(rules, model, request.client)
        if (!rule) return undefined
        const keyOf = (client: ClientRequest, services: RelayServices): AnswerKey =>
          answerKey(digests, { rule, request, client, services, processors, revisions })
        return new RequestCache({ rule, store: store(), flights, keyOf, failed }, request, reply)
      },
      preview({ model, outline }, asking) {
        const rule = ruleFor(rules, model, asking)
        if (!rule) return undefined
        const { name, scope } = rule
        return { name, scope, ...present({ bypass: bypassReason(outline, rule) }) }
      },
      remove,
      sizes: () => opened?.sizes(),
      get failures() {
        return failures
      },
    })
    followClients(app, (client) => empty({ client }))
    app.addHook('onClose', async () => opened?.close())
    done()
  },
  { name: 'answer-cache', dependencies: ['config', 'auth', 'directory', 'reload', 'exchange', 'processors'] },
)

function ruleFor(
  rules: readonly CacheRule[],
  { alias }: Model,
  client: ClientName | undefined,
): CacheRule | undefined {
  return rules.find((rule) => rule.appliesTo([alias], client))
}

/** What a client may no longer do, it may not have from the cache either. */
function followClients(app: FastifyInstance, onChanged: (client: string) => void): void {
  if (!app.config.authEnabled) return
  const known = new KnownClients(() => app.keys.clients())
  const look = (): void => {
    for (const client of known.changed()) onChanged(client)
  }
  app.addHook('onReady', async () => void known.changed())
  app.reload.onChange(look)
  app.directory?.onChange(look)
}

/** What models are asked with, to know what a change of the configuration touches. */
class Revisions {
  readonly #ofModels = new WeakMap<Model, string>()
  #common = ''
  #models: ReadonlyMap<string, string> = new Map()

  of(model: Model): string {
    const known = this.#ofModels.get(model)
    if (known !== undefined) return known
    const revision = modelRevision(model)
    this.#ofModels.set(model, revision)
    return revision
  }

  /** What is to be removed, compared with the last call. */
  changed(common: readonly string[], models: readonly Model[]): AnswerFilter[] {
    const before = { common: this.#common, models: this.#models }
    this.#common = common.join()
    this.#models = new Map(models.map((model) => [model.alias, this.of(model)]))
    if (before.common === '') return []
    if (before.common !== this.#common) return [{}]
    return [...before.models]
      .filter(([alias, revision]) => this.#models.get(alias) !== revision)
      .map(([alias]) => ({ model: alias }))
  }
}

interface KeyOptions {
  rule: CacheRule
  request: FastifyRequest
  client: ClientRequest
  services: RelayServices
  processors: string
  revisions: Revisions
}

/** All that an answer depends on. */
function answerKey(
  digests: AnswerDigests,
  { rule, request, client, services, processors, revisions }: KeyOptions,
): AnswerKey {
  const { model, dialect, source } = client
  const { client: asking, headers } = request
  const { docs } = request.routeOptions.config
  const owner = ownerOf(rule, asking)
  const forwarded = [...model.targets, ...model.sleeping].flatMap(({ type }) => type.forwardedHeaders ?? [])
  const body = source.from === 'client' ? membersOf(source.bytes, source.scan) : membersOfChat(source.request)
  const digest = digests.of([
    ...[answerForm, rule.scope, owner, asking ? permissionsRevision(asking) : ''],
    ...[model.alias, client.alias, revisions.of(model), processors],
    ...[docs ? docs.id : (request.routeOptions.url ?? ''), dialect.name],
    ...[String(services.canary), source.from],
    ...[...new Set(forwarded)].map((name) => String(headers[name])),
    ...body,
  ])
  return { model: model.alias, client: rule.scope === 'client' ? (asking?.id ?? shared) : shared, digest }
}

/** Who gets the answer again. */
function ownerOf({ scope }: CacheRule, client: ClientKey | undefined): string {
  if (scope === 'all') return ''
  // A client without a group shares with nobody.
  if (scope === 'group' && client?.group !== undefined) return `group/${client.group}`
  return `client/${client?.id ?? ''}`
}
