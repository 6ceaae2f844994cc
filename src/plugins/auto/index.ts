import type { FastifyInstance, FastifyRequest } from 'fastify'
import fp from 'fastify-plugin'
import { autoName } from '../../config/auto/read.ts'
import type { AutoModelEntry } from '../../config/auto/schema.ts'
import type { Model } from '../../sdk/target.ts'
import { clientAddress } from '../auth/client-address.ts'
import { type Models, modelsOf } from '../auth/client-view.ts'
import { requestedName } from '../models/requested-model.ts'
import type { ClientName } from '../processors/compiled.ts'
import { autoModels, isAuto } from './auto-models.ts'
import { candidatesFor } from './candidates.ts'
import { type AutoChoice, chosenModel } from './choose.ts'
import { answerKey, Conversations, conversationKey } from './conversations.ts'
import { Examples } from './examples.ts'
import { type AutoFacts, factsOfRequest } from './facts.ts'
import { Trials } from './trials.ts'

declare module 'fastify' {
  interface FastifyInstance {
    auto: {
      /** Whether a name refers to `auto`: it is configured, and no model has this name. */
      appliesTo(name: unknown): boolean
      /** Dry run: chooses a model for the chat in the body of a request, as if sent by this client. Undefined if there is none. */
      explain(
        request: FastifyRequest,
        dialect: string,
        clientId: string | undefined,
      ): Promise<AutoChoice | undefined>
      /** Chooses a model for the request and sets `autoChoice`, unless the client may use none. */
      choose(request: FastifyRequest, facts: AutoFacts, operations: readonly string[]): Promise<void>
    }
  }
  interface FastifyRequest {
    /** The chosen model; undefined unless the request is for `auto`. */
    autoChoice: AutoChoice | undefined
  }
}

interface AutoQuery {
  readonly request: FastifyRequest
  readonly facts: AutoFacts
  /** Operations of which the model must support at least one. */
  readonly operations: readonly string[]
  readonly models: Pick<Models, 'find'>
  readonly client: ClientName | undefined
  /** The model that the conversation used so far. */
  readonly previous?: string | undefined
}

/** State that lasts until the configuration changes. */
interface State {
  readonly entry: AutoModelEntry
  readonly examples: Examples
  readonly trials: Trials
  readonly conversations: Conversations
}

/** Timeout of the embedding of a request, in milliseconds. The choice then ignores the examples. */
const embeddingMs = 5_000
/** Timeout of the embeddings of all examples, which no request waits for, in milliseconds. The next request then retries. */
const examplesMs = 60_000

/** The model `auto`: chooses a model for each request for it, before limits and budgets are checked. */
export default fp(
  (app, _options, done) => {
    let state: State | undefined
    const stateOf = (entry: AutoModelEntry): State => {
      if (state?.entry !== entry) {
        const examples = new Examples(entry.examples ?? {})
        state = { entry, examples, trials: new Trials(), conversations: new Conversations() }
      }
      return state
    }
    const chosen = async (query: AutoQuery): Promise<AutoChoice | undefined> => {
      const { autoModel: entry } = app.models.loading()
      if (!entry) return undefined
      const { facts, request, client } = query
      const { examples, trials } = stateOf(entry)
      const permitted = autoModels(query.models, entry.models)
      const candidates = candidatesFor(app, permitted, facts, query.operations).map(({ model, excluded }) => {
        const isUsedUp = client !== undefined && app.budgets.isUsedUp(client.id, model.alias)
        return { model, excluded: excluded ?? (isUsedUp ? 'budget used up' : undefined) }
      })
      return chosenModel({
        entry,
        examples,
        facts,
        client,
        candidates,
        previous: query.previous,
        nearest: (text, names) =>
          trials.run(() => nearest(app, { entry, examples, request, permitted }, text, names)),
        onFailure: (error) => {
          if (request.exchange.signal.aborted) throw request.exchange.signal.reason
          trials.failed()
          const name = error instanceof Error ? error.name : typeof error
          app.log.warn(
            { ...request.exchange.logIds, embedding_model: entry.embedding_model, error_name: name },
            'the embedding model of auto_model failed or timed out; the examples were ignored for this request; check the model and its servers',
          )
        },
      })
    }
    app.decorateRequest('autoChoice', undefined)
    app.decorate('auto', {
      appliesTo: (name) =>
        isAuto(name) && app.models.loading().autoModel !== undefined && !app.models.findLoosely(autoName),
      explain(request, dialect, clientId) {
        const client = app.keys.clients().find(({ id }) => id === clientId)
        const models = client?.models ? modelsOf(app, client) : app.models
        const named = clientId === undefined ? undefined : { id: clientId, group: client?.group }
        const facts = factsOfRequest(app, request, dialect)
        return chosen({ request, facts, operations: ['chat'], models, client: named })
      },
      async choose(request, facts, operations) {
        const { autoModel: entry } = app.models.loading()
        if (!entry) return
        const { client, exchange } = request
        const { conversations } = stateOf(entry)
        const name = client?.id ?? clientAddress(request)
        const key = conversationKey(name, facts)
        const isSticky = entry.sticky !== false
        const isKnown = isSticky && (facts.continues || facts.session !== undefined)
        const previous = isKnown ? conversations.find(key) : undefined
        const models = app.rights.models(request)
        const choice = await chosen({ request, facts, operations, models, client, previous })
        if (!choice) return
        request.autoChoice = choice
        const { model, by } = choice
        exchange.auto = { by, model: model.alias }
        if (!isSticky) return
        conversations.keep(key, model.alias)
        exchange.onClose(() => {
          const { answerId } = exchange
          if (answerId !== undefined) conversations.keep(answerKey(name, answerId), model.alias)
        })
      },
    })
    app.addHook('preHandler', (request, _reply, next) => {
      if (request.method !== 'POST' || app.models.loading().autoModel === undefined) return next()
      const { docs, admin } = request.routeOptions.config
      if (admin || !docs || !docs.operations) return next()
      const { name, method } = requestedName(request)
      if (!app.auto.appliesTo(name)) return next()
      const operations = method === undefined ? docs.operations : operationsOf(method)
      app.auto.choose(request, factsOfRequest(app, request), operations).then(() => next(), next)
    })
    done()
  },
  { name: 'auto', dependencies: ['config', 'exchange'] },
)

function operationsOf(method: string): readonly string[] {
  return /embed/i.test(method) ? ['embedding'] : ['chat']
}

interface ExampleSearch {
  entry: AutoModelEntry
  examples: Examples
  request: FastifyRequest
  permitted: readonly Model[]
}

async function nearest(
  app: FastifyInstance,
  { entry, examples, request, permitted }: ExampleSearch,
  text: string,
  names: ReadonlySet<string>,
): ReturnType<Examples['nearest']> {
  const { embedding_model: model = '' } = entry
  const query = { request, operation: 'embedding' } as const
  // The embeddings of the examples serve all requests, so they outlive this one.
  const ready = examples.ready((texts) => {
    const options = { ...query, outlives: true, signal: AbortSignal.timeout(examplesMs) }
    return app.internalCalls.embed(model, texts, options)
  })
  const signal = AbortSignal.timeout(embeddingMs)
  const late = new Promise<never>((_, reject) => {
    signal.addEventListener('abort', () => reject(signal.reason), { once: true })
  })
  await Promise.race([ready, late])
  // The embedding model gets the same masked text as the chosen model would.
  const shown = await app.processors.maskForExternal(request, permitted, text)
  const [vector] = await app.internalCalls.embed(model, [shown.slice(0, maxLength)], { ...query, signal })
  return vector && examples.nearest(vector, names)
}

/** Longer prompts are truncated for the embedding, in characters. */
const maxLength = 8_000
