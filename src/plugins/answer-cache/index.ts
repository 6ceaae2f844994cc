import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import fp from 'fastify-plugin'
import type { ConfiguredProcessor } from '../../config/processors/read.ts'
import { generatedSecret, isGeneratedSecret } from '../../config/secrets.ts'
import { present } from '../../lib/json/read.ts'
import { AnswerDigests } from '../../processors/cache/answer-key.ts'
import { type BypassReason, bypassReason } from '../../processors/cache/bypass.ts'
import type { ClientRequest } from '../../relay/request/client-request.ts'
import type { Model } from '../../sdk/target.ts'
import type { AnswerCache, AnswerFilter, AnswerKey, AnswerSizes } from '../../stores/answer-cache/store.ts'
import { openAnswers } from '../../stores/choose.ts'
import type { ClientName } from '../processors/compiled.ts'
import { followClients } from './client-rights.ts'
import type { Flight } from './flight.ts'
import { RequestCache } from './request-cache.ts'
import { answerKey, type CacheKeyInput, sharedClient } from './request-key.ts'
import { type CacheRule, modelRevision, processorsRevision, rulesOf, rulesRevision } from './rules.ts'

declare module 'fastify' {
  interface FastifyInstance {
    /** Response cache. */
    answerCache: {
      /** Applies a configuration to new requests, and deletes the entries that the change affects. */
      use(configured: readonly ConfiguredProcessor[], models: readonly Model[]): void
      /** The cache that applies to a request, whose limits and permissions must have been checked; undefined if none does. */
      begin(request: FastifyRequest, reply: FastifyReply, model: Model): RequestCache | undefined
      /** The cache that would apply, and why the request would bypass it. */
      preview(request: ClientRequest, client: ClientName | undefined): CachePreview | undefined
      /** Deletes matching entries, including those that clients share. Resolves with their number. */
      remove(filter: AnswerFilter): Promise<number>
      /** Undefined if this process does not know. */
      sizes(): AnswerSizes | undefined
      /** How often the store was unavailable or too slow. */
      readonly failures: number
    }
  }
}

interface CachePreview {
  name: string
  scope: CacheRule['scope']
  bypass?: BypassReason
}

/**
 * The response cache. It is located behind the request processors and in front of the model: entries contain masked responses, and a
 * hit passes the response processors (guardrails, unmasking) like a new response.
 */
export default fp(
  (app, _options, done) => {
    const { cacheSecret } = app.config
    const digests = new AnswerDigests(cacheSecret === '' ? generatedSecret() : cacheSecret)
    const flights = new Map<string, Flight>()
    const revisions = new Revisions()
    const revisionOf = (model: Model): string => revisions.of(model)
    let rules: readonly CacheRule[] = []
    let opened: AnswerCache | undefined
    let failures = 0
    let processors = ''
    const store = (): AnswerCache => (opened ??= openAnswers(app))
    const failed = (error: unknown): void => {
      failures++
      app.log.debug(
        { error_name: error instanceof Error ? error.name : typeof error },
        'cache store unavailable',
      )
    }
    const remove = async ({ model, client }: AnswerFilter): Promise<number> => {
      const filters =
        client === undefined || client === sharedClient
          ? [{ model, client }]
          : [client, sharedClient].map((each) => ({ model, client: each }))
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
        if (before.length === 0) logMemoryNotice(app)
        for (const filter of changes) empty(filter)
      },
      begin(request, reply, model) {
        if (rules.length === 0) return undefined
        const rule = ruleFor(rules, model, request.client)
        if (!rule) return undefined
        const keyOf = (asked: CacheKeyInput): AnswerKey =>
          answerKey(asked, { digests, rule, request, processors, revisionOf })
        return new RequestCache({ rule, store: store(), flights, keyOf, failed }, request, reply)
      },
      preview({ model, outline }, client) {
        const rule = ruleFor(rules, model, client)
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

/** With Redis configured, one might expect the entries to be stored there. */
function logMemoryNotice({ config, log }: FastifyInstance): void {
  const { redisUrl, redisHost, cacheSecret } = config
  if (redisUrl + redisHost === '' || (cacheSecret !== '' && !isGeneratedSecret(cacheSecret))) return
  log.info(
    'cached responses are stored in memory on each host; set LLM_ROUTER_CACHE_SECRET to store them in Redis',
  )
}

function ruleFor(
  rules: readonly CacheRule[],
  { alias }: Model,
  client: ClientName | undefined,
): CacheRule | undefined {
  return rules.find((rule) => rule.appliesTo([alias], client))
}

/** Revisions of the configuration, by which a reload finds the entries that it invalidates. */
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

  /** What must be deleted since the last call. */
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
