import { type Static, Type } from '@sinclair/typebox'

const count = (description: string) => Type.Integer({ minimum: 0, description })

const members = {
  name: Type.String({ description: 'Its host and port.' }),
  version: Type.String(),
  started_at: Type.String({ description: 'ISO 8601.' }),
  uptime_seconds: Type.Number({ minimum: 0 }),
  state: Type.String({ description: 'ready, degraded, unusable or draining.' }),
  workers: count('Processes that serve requests.'),
  config: Type.String({ description: 'Digest of models-config.json.' }),
  requests_per_minute: count('Requests for models that ended in the last minute.'),
  in_flight: count('Requests that servers are processing.'),
  waiting: count('Requests that wait for a server.'),
}

export const RouterSchema = Type.Object(members)

export const RoutersSchema = Type.Object({
  this: RouterSchema,
  others: Type.Array(
    Type.Object({
      ...members,
      seen_at: Type.String({ format: 'date-time', description: 'When it last reported.' }),
    }),
    { description: 'Routers on the same Redis that reported in the last ten seconds.' },
  ),
  shared: Type.Boolean({
    description: 'Whether Redis is configured, through which routers know each other.',
  }),
})

export type Router = Static<typeof RouterSchema>
export type Routers = Static<typeof RoutersSchema>
