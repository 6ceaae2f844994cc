import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { Type } from '@sinclair/typebox'
import fp from 'fastify-plugin'
import { endpointPaths } from '../../lib/endpoint-paths.ts'
import { present } from '../../lib/json/read.ts'
import { readClientRequest } from '../../relay/request/client-request.ts'
import { pickContextOf } from '../../relay/run/chat.ts'
import { defaultTurn } from '../../relay/run/lease.ts'
import { TargetStatusSchema } from '../../sdk/console/status.ts'
import { type EndpointDocs, json } from '../../sdk/endpoint-docs.ts'
import type { Target } from '../../sdk/target.ts'

const dialects = ['openai', 'anthropic', 'responses', 'ollama', 'gemini'] as const

const RouteBody = Type.Object(
  {
    model: Type.String({ minLength: 1, description: 'Name of the model.' }),
    dialect: Type.Optional(
      Type.Union(
        dialects.map((name) => Type.Literal(name)),
        { description: 'Dialect of the rest of the body; default `openai`.' },
      ),
    ),
    client: Type.Optional(
      Type.String({
        description: 'Id of the client key, or address, that the request is assumed to come from.',
      }),
    ),
  },
  { additionalProperties: true },
)

const CandidateSchema = Type.Object({
  target: Type.String(),
  group: Type.Integer({
    minimum: 0,
    description: 'Targets of a later group are used only if no target of an earlier group is usable.',
  }),
  standby: Type.Boolean({ description: 'Whether it is one of providers_sleep.' }),
  score: Type.Optional(
    Type.Number({
      description: 'Score in units of the strategy; higher is better. Absent: the strategy has none.',
    }),
  ),
  full: Type.Boolean({ description: 'Whether it has no free slot, as far as this process knows.' }),
  signals: Type.Omit(TargetStatusSchema, ['id']),
})

const RouteSchema = Type.Object({
  model: Type.String(),
  strategy: Type.String(),
  request: Type.Object({
    session: Type.Optional(Type.String()),
    prompt_tokens: Type.Integer({ minimum: 0, description: 'Estimated.' }),
    prefix_keys: Type.Integer({
      minimum: 0,
      description: 'Number of prompt prefixes that the router distinguishes.',
    }),
    client: Type.String(),
    priority: Type.String(),
  }),
  candidates: Type.Array(CandidateSchema),
  excluded: Type.Array(
    Type.Object({ target: Type.String(), signals: Type.Omit(TargetStatusSchema, ['id']) }),
    { description: 'Targets of the model that cannot receive the request now.' },
  ),
  auto: Type.Optional(
    Type.Object(
      {
        by: Type.String({
          description: 'What determined the model: conversation, rule, example, size or order.',
        }),
        detail: Type.Optional(Type.String({ description: 'The rule or example.' })),
        candidates: Type.Array(
          Type.Object({ model: Type.String(), excluded: Type.Optional(Type.String()) }),
          { description: 'Models that the client may use; `excluded`: why one cannot answer.' },
        ),
      },
      { description: 'How `model` was chosen, for the model `auto`.' },
    ),
  ),
  processors: Type.Array(Type.String(), {
    description: 'Processors that the request would pass through, in this order.',
  }),
  cache: Type.Optional(
    Type.Object(
      {
        name: Type.String(),
        scope: Type.String({ description: 'Who shares a cached response: client, group or all.' }),
        bypass: Type.Optional(
          Type.String({ description: 'The field of the body because of which the cache is bypassed.' }),
        ),
      },
      { description: 'The response cache that applies; absent: none.' },
    ),
  ),
  choice: Type.Optional(
    Type.Object(
      { target: Type.String(), reason: Type.String() },
      {
        description: 'Absent: the request would wait or fail, or the strategy cannot tell without picking.',
      },
    ),
  ),
  waits: Type.Boolean({ description: 'Whether the request would wait for a slot.' }),
  error: Type.Optional(
    Type.Object(
      { code: Type.String(), message: Type.String() },
      { description: 'The error with which the request would fail.' },
    ),
  ),
})

/**
 * Previews which target a chat request would get, and why. Read-only; no model is asked, except the embedding model of `auto`.
 */
const plugin: FastifyPluginAsyncTypebox = async (app) => {
  for (const path of endpointPaths(app.config.endpointPrefix, { fixed: [], prefixed: ['/route'] }))
    app.post(
      path,
      { config: { admin: true, docs }, schema: { body: RouteBody, response: { 200: RouteSchema } } },
      async (request) => {
        const { client: clientId, dialect: dialectName = 'openai', model: name } = request.body
        const auto = app.auto.appliesTo(name)
          ? await app.auto.explain(request, dialectName, clientId)
          : undefined
        const client = readClientRequest({
          dialect: app.dialects.get(dialectName),
          body: request.body,
          rawBody: request.rawBody,
          findModel: (wanted) =>
            auto?.model ??
            (dialectName === 'ollama' ? app.models.findLoosely(wanted) : app.models.find(wanted)),
          streamDefault: app.config.streamDefault,
          fromPath: dialectName === 'gemini' ? { model: name, stream: false } : undefined,
        })
        const { model } = client
        const services = app.gateway.services(request)
        const { turn = defaultTurn } = services
        const context = pickContextOf(
          client,
          clientId === undefined ? services : { ...services, clientName: () => clientId },
        )
        const preview = app.balancer.preview(model, {
          ...context,
          turn,
          tried: new Set<string>(),
          isLast: false,
          hasFallback: services.fallbacksOf(model).length + (auto?.fallbacks.length ?? 0) > 0,
        })
        const { session, promptTokens, prefixKeys, client: from, priority } = context.request
        const targets = app.status.read().models.find(({ name }) => name === model.alias)?.targets ?? []
        const signalsOf = ({ id }: Pick<Target, 'id'>) => {
          const { id: _id, ...signals } = targets.find((each) => each.id === id) ?? unknown()
          return signals
        }
        const candidates = preview?.candidates ?? []
        const { group } = app.keys.clients().find(({ id }) => id === clientId) ?? {}
        const clientName = clientId === undefined ? undefined : { id: clientId, group }
        const ids = new Set(candidates.map(({ target }) => target.id))
        return {
          model: model.alias,
          strategy: preview?.strategy ?? '',
          request: {
            ...present({ session }),
            prompt_tokens: promptTokens,
            prefix_keys: prefixKeys.length,
            client: from,
            priority,
          },
          candidates: candidates.map(({ target, group, isStandby, score, isFull }) => ({
            target: target.id,
            group,
            standby: isStandby,
            full: isFull,
            ...present({ score: score === undefined ? undefined : Math.round(score * 1000) / 1000 }),
            signals: signalsOf(target),
          })),
          excluded: targets
            .filter(({ id }) => !ids.has(id))
            .map(({ id, ...signals }) => ({ target: id, signals })),
          processors: [app.retrieval, app.processors].flatMap(({ namesFor }) =>
            namesFor([model.alias, ...model.fallbacks, ...(auto?.fallbacks ?? [])], clientName),
          ),
          ...present({
            auto: auto && {
              by: auto.by,
              ...present({ detail: auto.detail }),
              candidates: auto.candidates.map(({ model: { alias }, excluded }) => ({
                model: alias,
                ...present({ excluded }),
              })),
            },
            cache: app.answerCache.preview(client, clientName),
            choice: preview?.choice && { target: preview.choice.target.id, reason: preview.choice.reason },
            error: preview?.error && {
              code: preview.error.code ?? preview.error.kind,
              message: preview.error.message,
            },
          }),
          waits: preview?.waits ?? false,
        }
      },
    )
}

export default fp(plugin, { name: 'routes/operator/route', encapsulate: true })

function unknown(): never {
  throw new Error('a candidate is missing in the status')
}

const docs: EndpointDocs = {
  id: 'route',
  tag: 'Operation',
  summary: 'Which target a chat request would get, and why',
  description:
    'The body is that of a chat request in the dialect named by `dialect`. Read-only; no model is asked, except the embedding model of `auto`. Based on the state of the process that answers.',
  answers: [json('The candidates with their signals, and the choice.', RouteSchema)],
  example: { model: 'demo', messages: [{ role: 'user', content: 'Hello' }] },
}
