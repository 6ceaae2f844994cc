import cluster from 'node:cluster'
import type { FastifyInstance, FastifyRequest } from 'fastify'
import fp from 'fastify-plugin'
import type { ConfiguredProcessor } from '../../config/processors/read.ts'
import { generatedSecret, isGeneratedSecret } from '../../config/secrets.ts'
import { maskingSecretMissing } from '../../config/settings/processors.ts'
import { hasSeveralHosts } from '../../config/settings/settings.ts'
import { EventLoopBudget } from '../../lib/event-loop-budget.ts'
import { isObject } from '../../lib/json/read.ts'
import type { UnchangedText } from '../../processors/contents/unchanged-texts.ts'
import { type MaskingKey, maskingKey } from '../../processors/masking/key.ts'
import { processorTypeErrors } from '../../sdk/checks/processor.ts'
import { ConfigError } from '../../sdk/errors.ts'
import type { ProcessorType } from '../../sdk/processor.ts'
import { Registry } from '../../sdk/registry.ts'
import type { Model } from '../../sdk/target.ts'
import { askModel } from './ask-model.ts'
import {
  type ClientName,
  type CompiledProcessor,
  type CompiledProcessors,
  compileProcessors,
  type MaskingProcessor,
} from './compiled.ts'
import type { AskRouterModel } from './guardrail.ts'
import { judgeDeadlocks } from './judge-deadlocks.ts'
import { Processing } from './processing.ts'

declare module 'fastify' {
  interface FastifyInstance {
    /** Processor types of extensions. */
    processorTypes: Registry<ProcessorType>
    processors: {
      /** Creates the processors of a configuration, which may use its models. Throws ConfigError. */
      compile(configured: readonly ConfiguredProcessor[], models: readonly Model[]): CompiledProcessors
      /** Sets the processors for all new requests. */
      use(processors: CompiledProcessors): void
      /** Processing of a request to a model; undefined if none applies. */
      begin(request: FastifyRequest, model: Model): Processing | undefined
      /** A text for external models and services: masked, if masking applies to one of the models. */
      maskForExternal(request: FastifyRequest, models: readonly Model[], text: string): Promise<string>
      /** Names of the processors that would apply. */
      namesFor: (models: readonly string[], client: ClientName | undefined) => string[]
      /** A text with all built-in kinds masked in the Python llm-router's form. */
      maskText(text: string): Promise<{ text: string; mappings: Record<string, string> }>
    }
  }
  interface FastifyRequest {
    /** Processing of the current chat. */
    processing: Processing | undefined
  }
}

/** Processing of requests and responses on their way to models and back. */
export default fp(
  (app, _options, done) => {
    const types = new Registry<ProcessorType>('processor type', processorTypeErrors)
    const secret = app.config.maskingSecret === '' ? generatedSecret() : app.config.maskingSecret
    const keys = new Map<string, MaskingKey>()
    let current = compileProcessors([], app.config, types)
    let isLogged = false
    app.decorate('processorTypes', types)
    app.decorateRequest('processing', undefined)
    const begin = (request: FastifyRequest, models: readonly string[]): Processing | undefined => {
      const anonymize = anonymizeOf(request)
      if (current.list.length === 0 && anonymize === undefined) return undefined
      const { client, exchange, log } = request
      const processors = applying(current, models, client, anonymize === true).flatMap((each) =>
        forRequest(each, (question) => askModel(app, request, question)),
      )
      if (processors.length === 0 && anonymize === undefined) return undefined
      return new Processing({
        processors,
        exchange,
        model: models[0] ?? '',
        client: client?.id,
        signal: exchange.signal,
        key: keyOf(keys, secret, client?.id ?? ''),
        headers: forwardedHeaders(app, request),
        warn: (fields, message) => log.warn({ ...exchange.logIds, ...fields }, message),
      })
    }
    app.decorate('processors', {
      compile(configured, models) {
        const conflicts = judgeDeadlocks(configured, models, (name) => isExclusive(app, name))
        if (conflicts.length > 0) throw new ConfigError(conflicts)
        const masks = configured.some(({ type }) => type === 'masking')
        if (masks && app.config.maskingSecret === '' && hasSeveralHosts(app.config))
          throw new ConfigError([maskingSecretMissing])
        return compileProcessors(configured, app.config, types, (type) => app.extensionOf.get(type))
      },
      use(processors) {
        current = processors
        // Logged once per cluster.
        if ((cluster.worker?.id ?? 1) !== 1) return
        if (isLogged || !processors.list.some(({ type }) => type === 'masking') || !isGeneratedSecret(secret))
          return
        isLogged = true
        app.log.info(
          'pseudonyms change at each start, so prompts no longer match the prefix caches of engines; set LLM_ROUTER_MASKING_SECRET to keep them',
        )
      },
      begin: (request, { alias, fallbacks }) =>
        begin(request, [alias, ...fallbacks, ...(request.autoChoice?.fallbacks ?? [])]),
      maskForExternal: async (request, models, text) => {
        const names = models.flatMap(({ alias, fallbacks }) => [alias, ...fallbacks])
        return (await begin(request, names)?.maskText(text)) ?? text
      },
      namesFor: (models, client) => applying(current, models, client, false).map(({ name }) => name),
      maskText: (text) => maskInPythonForm(text, current.onRequest),
    })
    done()
  },
  { name: 'processors', dependencies: ['config', 'registries', 'exchange'] },
)

function isExclusive(app: FastifyInstance, strategy: string | undefined): boolean {
  return app.strategies.find(strategy ?? app.config.balanceStrategy)?.exclusive === true
}

/** Headers of the client that an upstream may get. */
function forwardedHeaders({ providers }: FastifyInstance, { headers }: FastifyRequest): UnchangedText[] {
  const names = [
    'tracestate',
    ...providers.names().flatMap((name) => providers.get(name).forwardedHeaders ?? []),
  ]
  return names.flatMap((name) => {
    const value = headers[name]
    return value === undefined ? [] : [{ text: String(value), path: name }]
  })
}

/** Whether the request asks for masking; undefined if unspecified. */
function anonymizeOf({ body }: FastifyRequest): boolean | undefined {
  if (typeof body !== 'object' || body === null || !('anonymize' in body) || !isObject(body)) return undefined
  const { anonymize } = body
  return anonymize === true || anonymize === 'true' || anonymize === 1
}

function applying(
  { list, onRequest }: CompiledProcessors,
  models: readonly string[],
  client: ClientName | undefined,
  isMaskingRequested: boolean,
): CompiledProcessor[] {
  const applying = list.filter((processor) => processor.appliesTo(models, client))
  if (isMaskingRequested && !applying.some(({ type }) => type === 'masking')) applying.push(onRequest)
  return applying
}

/** The processor for one request; none if the request is not in the sample. */
function forRequest(processor: CompiledProcessor, ask: AskRouterModel): CompiledProcessor[] {
  if (processor.type !== 'own') return [processor]
  if (processor.sample < 1 && Math.random() >= processor.sample) return []
  return [processor.forRequest ? { ...processor, processor: processor.forRequest(ask) } : processor]
}

async function maskInPythonForm(
  text: string,
  { plan }: MaskingProcessor,
): Promise<{ text: string; mappings: Record<string, string> }> {
  const found = await plan.rules.find(text, new EventLoopBudget(), { literals: false })
  const stamp = Math.round((performance.timeOrigin + performance.now()) * 1000)
  const masks = new Map<string, string>()
  const mappings: Record<string, string> = {}
  let masked = ''
  let from = 0
  for (const { start, end, kind } of found) {
    const value = text.slice(start, end)
    const mask = masks.get(`${kind} ${value}`) ?? `${kind}_${stamp}_${masks.size + 1}`
    masks.set(`${kind} ${value}`, mask)
    mappings[mask] = value
    masked += `${text.slice(from, start)}{${mask}}`
    from = end
  }
  return { text: masked + text.slice(from), mappings }
}

const maxKeys = 10_000

function keyOf(keys: Map<string, MaskingKey>, secret: string, client: string): MaskingKey {
  const known = keys.get(client)
  if (known) return known
  if (keys.size >= maxKeys) keys.clear()
  const key = maskingKey(secret, client)
  keys.set(client, key)
  return key
}
