import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import fp from 'fastify-plugin'
import { isMadeSecret, madeSecret } from '../../config/masking-secret.ts'
import type { ConfiguredProcessor } from '../../config/processors/read.ts'
import { present } from '../../lib/json/read.ts'
import { AnswerDigests } from '../../processors/cache/answer-key.ts'
import { bypassReason } from '../../processors/cache/bypass.ts'
import type { ClientRequest } from '../../relay/request/client-request.ts'
import type { Model } from '../../sdk/target.ts'
import type { AnswerFilter, AnswerKey, AnswerSizes, AnswerStore } from '../../stores/answers/store.ts'
import { openAnswers } from '../../stores/choose.ts'
import type { ClientName } from '../processors/compiled.ts'
import { followClients } from './client-rights.ts'
import type { Flight } from './flight.ts'
import { RequestCache } from './request-cache.ts'
import { type Asked, answerKey, sharedClient } from './request-key.ts'
import { type CacheRule, modelRevision, processorsRevision, rulesOf, rulesRevision } from './rules.ts'

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
    const revisionOf = (model: Model): string => revisions.of(model)
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
        if (before.length === 0) tellOfMemory(app)
        for (const filter of changes) empty(filter)
      },
      begin(request, reply, model) {
        if (rules.length === 0) return undefined
        const rule = ruleFor(rules, model, request.client)
        if (!rule) return undefined
        const keyOf = (asked: Asked): AnswerKey =>
          answerKey(asked, { digests, rule, request, processors, revisionOf })
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

/** Who has a Redis may expect answers to be in it. */
function tellOfMemory({ config, log }: FastifyInstance): void {
  const { redisUrl, redisHost, cacheSecret } = config
  if (redisUrl + redisHost === '' || (cacheSecret !== '' && !isMadeSecret(cacheSecret))) return
  log.info('answers are kept in memory, on each host; set LLM_ROUTER_CACHE_SECRET to keep them in Redis')
}

function ruleFor(
  rules: readonly CacheRule[],
  { alias }: Model,
  client: ClientName | undefined,
): CacheRule | undefined {
  return rules.find((rule) => rule.appliesTo([alias], client))
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
