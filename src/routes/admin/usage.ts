import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { type TSchema, Type } from '@sinclair/typebox'
import type { FastifyReply, FastifyRequest } from 'fastify'
import fp from 'fastify-plugin'
import { json } from '../../sdk/endpoint-docs.ts'
import { badRequest } from '../../sdk/errors.ts'
import {
  type UsageLine,
  UsageLineSchema,
  type UsageQuery,
  UsageQuerySchema,
  type UsageQuestion,
  usageCsv,
  usageQuestion,
} from '../../sdk/teams/usage.ts'

const AnswerSchema = Type.Object({
  from: Type.String(),
  to: Type.String(),
  data: Type.Array(UsageLineSchema),
})

const orNull = <Item extends TSchema>(item: Item) => Type.Union([item, Type.Null()])
const OwnSchema = Type.Object({
  ...AnswerSchema.properties,
  budgets: Type.Array(
    Type.Object({
      id: Type.String(),
      unit: Type.String(),
      model: orNull(Type.String()),
      window: Type.String(),
      hard: Type.Boolean(),
      limit: Type.Number(),
      spent: orNull(
        Type.Number({ description: 'In the current window; null while the database is unavailable.' }),
      ),
      left: orNull(Type.Number()),
      resets_at: orNull(Type.String()),
    }),
  ),
  limits: Type.Array(
    Type.Object({
      group: orNull(
        Type.String({ description: "The group that shares the limit; null: the client's own limit." }),
      ),
      limit: Type.String({ description: '`max_concurrent`, `requests_per_minute` or `tokens_per_minute`.' }),
      most: Type.Number(),
      left: Type.Number(),
      full_in_seconds: orNull(
        Type.Number({ description: 'Time until the full limit is available again if nothing is used.' }),
      ),
    }),
  ),
})

/** Usage of all clients for operators, and of a client for itself. */
const plugin: FastifyPluginAsyncTypebox = async (app) => {
  // Available on both ports: the console uses the admin port, if configured, and programs the main port.
  for (const admin of app.adminPort.both) register(app, admin)
}

export default fp(plugin, { name: 'routes/admin/usage', encapsulate: true })

function register(app: Parameters<FastifyPluginAsyncTypebox>[0], admin: boolean): void {
  const { administration } = app
  const { endpointPrefix, timeZone: zone } = app.config
  const csv = { type: 'text/csv', description: 'The same as a table.' }
  app.get(
    `${endpointPrefix}/admin/usage`,
    {
      config: {
        admin,
        surface: 'operator',
        role: 'viewer',
        errors: 'problem',
        docs: {
          id: 'usage',
          tag: 'Administration',
          summary: 'Usage by client, group, key, model and target',
          query: UsageQuerySchema.properties,
          answers: [json('Sums, in chronological order.', AnswerSchema), csv],
        },
      },
      schema: { querystring: UsageQuerySchema },
    },
    async (request, reply) => {
      const question = usageQuestion(request.query, { zone, now: Date.now() })
      const format = formatOf(request, request.query)
      return answer(question, await administration.run(request, 'usage', question), format, reply)
    },
  )
  // Clients query their own usage on the main port.
  if (admin) return
  const { from, to, bucket, format } = UsageQuerySchema.properties
  const OwnQuerySchema = Type.Object({
    from,
    to,
    bucket,
    format,
    by: Type.Optional(Type.String({ description: '`model`, `key` or both. Default: `model`.' })),
  })
  app.get(
    `${endpointPrefix}/usage`,
    {
      config: {
        surface: 'any',
        errors: 'problem',
        docs: {
          id: 'ownUsage',
          tag: 'Administration',
          summary: "The client's own usage, and the remainder of its budgets and limits",
          query: OwnQuerySchema.properties,
          answers: [
            json('Sums in chronological order, and the remainder of budgets and limits.', OwnSchema),
            csv,
          ],
        },
      },
      schema: { querystring: OwnQuerySchema },
    },
    async (request, reply) => {
      const { client, query } = request
      const parsed = usageQuestion({ ...query, by: query.by ?? 'model' }, { zone, now: Date.now() })
      // Only operators may see servers and the usage of other clients.
      if (parsed.by.some((dimension) => dimension !== 'model' && dimension !== 'key'))
        throw badRequest("'by' must be one of: model, key", 'by', 'invalid_value')
      const question = { ...parsed, client: client?.id ?? '' }
      const lines = await administration.run(request, 'usage', question)
      const format = formatOf(request, query)
      if (format === 'csv') return answer(question, lines, format, reply)
      const [budgets, limits] = await Promise.all([
        app.budgets.left(question.client),
        app.rights.limitsLeft(request),
      ])
      return answer(question, lines, format, reply, { budgets, limits })
    },
  )
}

function answer(
  question: UsageQuestion,
  lines: UsageLine[],
  format: 'json' | 'csv',
  reply: FastifyReply,
  more: object = {},
): FastifyReply {
  if (format === 'csv')
    return reply
      .type('text/csv; charset=utf-8')
      .header('content-disposition', 'attachment; filename="usage.csv"')
      .header('x-content-type-options', 'nosniff')
      .send(usageCsv(question, lines))
  const time = (at: number): string => new Date(at).toISOString()
  return reply.send({ from: time(question.from), to: time(question.to), data: lines, ...more })
}

function formatOf({ headers }: FastifyRequest, { format }: Pick<UsageQuery, 'format'>): 'json' | 'csv' {
  if (format === 'json' || format === 'csv') return format
  if (format !== undefined) throw badRequest("'format' must be json or csv", 'format', 'invalid_value')
  return /\btext\/csv\b/i.test(headers.accept ?? '') ? 'csv' : 'json'
}
