import { type Static, type TSchema, Type } from '@sinclair/typebox'

/**
 * What `GET P/status` tells of all processes of a router: its models, its targets and what failed. Nothing in it comes from a request or
 * an answer, and no path or key is among it. Addresses are for operators only, see `withoutAddresses`. Times are ISO 8601, shares 0 to 1.
 */

const described = <Schema extends TSchema>(schema: Schema, description: string): Schema => ({
  ...schema,
  description,
})
const count = (description: string) => Type.Integer({ minimum: 0, description })
const share = (description: string) => Type.Number({ minimum: 0, maximum: 1, description })
const words = <const Words extends readonly string[]>(list: Words, description: string) =>
  Type.Unsafe<Words[number]>(
    Type.Union(
      list.map((word) => Type.Literal(word)),
      { description },
    ),
  )

/** In the order of how well a target can be used. */
export const targetStates = [
  'up',
  'trial',
  'busy',
  'loading',
  'hung',
  'asleep',
  'misconfigured',
  'open',
  'down',
  'drained',
  'parked',
] as const
const routerStates = ['ready', 'degraded', 'unusable', 'draining'] as const

const TargetErrorSchema = Type.Object({
  at: Type.String({ format: 'date-time' }),
  code: Type.String({ description: 'A cause such as ECONNREFUSED, HTTP_503 or TIMEOUT_CONTENT.' }),
  text: Type.String({ description: 'What the code says, in words.' }),
})

const part = (description: string) => Type.Optional(share(description))
const known = (description: string) => Type.Optional(count(description))

const EngineStatusSchema = Type.Object({
  state: Type.Optional(words(['ready', 'loading', 'asleep', 'down'], 'As the engine says it.')),
  sleep: Type.Optional(
    words(
      ['weights_offloaded', 'discard_all'],
      'How it sleeps: weights_offloaded can be woken soon; discard_all is never woken by the router.',
    ),
  ),
  running: known('Requests that it works on, of all its users.'),
  waiting: known('Requests in its own queue, of all its users.'),
  kv_use: part('Share of the KV cache in use.'),
  cache_hit_ratio: part('Share of prompt tokens that its prefix cache served.'),
  slots: known('Requests that it can run at once.'),
  loaded: Type.Optional(
    Type.Array(
      Type.Object({
        name: Type.String({ description: 'As the engine names it.' }),
        context: known('Context length in use, in tokens.'),
        expires_at: Type.Optional(Type.String({ description: 'When the engine will unload it.' })),
      }),
      { description: 'The models that it has in memory.' },
    ),
  ),
})

export const TargetStatusSchema = Type.Object({
  id: Type.String(),
  type: Type.String({ description: 'Kind of server, its api_type.' }),
  server: Type.String({
    description:
      'Its server: targets with the same one share it. The id of an entry of `servers`; otherwise a name that the router gives each host, or the id of the target.',
  }),
  host: Type.Optional(
    Type.String({
      description: 'Host and port of its server, as configured. Only for requests with an operator key.',
    }),
  ),
  address: Type.Optional(
    Type.String({
      description: 'One of several addresses of its server. Only for requests with an operator key.',
    }),
  ),
  state: words(
    targetStates,
    'up; trial: a request tries it; busy: asked for a pause; loading: loads its model; hung: passed over, since its answers do not begin; asleep; misconfigured: refuses the key or the model; open: its requests failed; down: its health checks fail; drained: an operator lets it take nothing new; parked: in providers_sleep.',
  ),
  since: Type.String({ format: 'date-time', description: 'When its state began.' }),
  reason: Type.Optional(
    Type.String({ description: 'What is wrong with a misconfigured target, such as a rejected api_token.' }),
  ),
  ejected_for: Type.Optional(
    Type.Array(Type.String(), {
      description:
        'Features whose requests pass the target over, because it fails them: image, tools, embedding ...',
    }),
  ),
  breaker: words(['closed', 'open', 'half_open'], 'Open: gets no requests.'),
  down: Type.Optional(
    words(
      ['refused', 'silent', 'failing'],
      'Why its health checks fail: connections are refused, time out, or fail otherwise.',
    ),
  ),
  retry_in_seconds: Type.Number({ minimum: 0, description: 'Until it may be tried again.' }),
  in_flight: count('Requests that it works on.'),
  places: Type.Optional(
    count('Most requests that it may have at a time, of all that share it; absent: any number.'),
  ),
  uses: count('Requests that it was picked for since the start.'),
  requests_per_minute: count('Requests that it answered or failed in the last minute.'),
  failed_per_minute: count('Of these, failed: while there are few requests, this says more than a rate.'),
  failure_rate: share('Moving average of failures.'),
  first_content_ms: Type.Optional(
    Type.Number({ description: 'Moving average of the time to the first content; absent before the first.' }),
  ),
  tokens_per_second: Type.Optional(
    Type.Number({ description: 'Moving average of one answer after its first content.' }),
  ),
  weight: share('Share of the requests for the weighted strategies, as it is now.'),
  configured_weight: Type.Optional(
    share('Its weight in the configuration, where an operator has set another one.'),
  ),
  context: count('Context length in tokens; 0 when unknown.'),
  last_errors: described(Type.Array(TargetErrorSchema), 'The latest failed attempts, newest first.'),
  engine: Type.Optional(
    described(EngineStatusSchema, 'What its server said at the last poll; what it does not tell is absent.'),
  ),
})

const ModelStatusSchema = Type.Object({
  name: Type.String(),
  strategy: Type.String(),
  waiting: count('Requests that wait for a target: a place at one, or any.'),
  refused_per_minute: count('Requests of the last minute that were refused for want of a target.'),
  panic: Type.Boolean({
    description: 'All its targets are down, and those whose checks only time out are used nevertheless.',
  }),
  targets: Type.Array(TargetStatusSchema),
})

const FailureSchema = Type.Object({
  at: Type.String({ format: 'date-time' }),
  model: Type.String(),
  target: Type.Optional(Type.String({ description: 'The last one that was tried.' })),
  status: Type.Integer({ description: 'HTTP status that the client got.' }),
  outcome: Type.String({ description: 'error, or truncated: it broke after its beginning.' }),
  code: Type.String(),
  text: Type.String({ description: 'What the code says, in words.' }),
})

const FailedReloadSchema = Type.Object({
  setting: Type.String({ description: 'The environment variable that names the files.' }),
  at: Type.String({ format: 'date-time' }),
  faults: count('How many there are; the log has them, with their places.'),
})

const WorkerStatusSchema = Type.Object({
  worker: Type.Integer({ description: 'Number of the process in a cluster; 0: a single one.' }),
  pid: Type.Integer(),
  state: words([...routerStates, 'silent'], 'As it sees its targets; silent: it does not answer now.'),
  uptime_seconds: Type.Number({ minimum: 0 }),
  in_flight: count('Calls that its targets work on.'),
  waiting: count('Requests that wait for a free target.'),
  finished: count('Model requests that have ended.'),
  failed: count('Of these, with an error of the server side or a broken answer.'),
  memory_bytes: count('What it holds of memory.'),
  config: Type.String({ description: 'The version of its configuration.' }),
})

export const StatusSchema = Type.Object({
  version: Type.String(),
  node: Type.String({ description: 'Version of Node.js.' }),
  config: Type.Object({
    version: Type.String({ description: 'Tells one content of models-config.json from another.' }),
    loaded_at: Type.String({ format: 'date-time' }),
    failed: described(
      Type.Array(FailedReloadSchema),
      'What was changed and could not be taken, so that the configuration before it is in use.',
    ),
  }),
  started_at: Type.String({ format: 'date-time' }),
  uptime_seconds: Type.Number({ minimum: 0 }),
  worker: Type.Integer({
    description: 'Number of the process in a cluster that has answered for all; 0: a single one.',
  }),
  state: words(
    routerStates,
    'ready; degraded: a target cannot be used; unusable: none can; draining: the process ends.',
  ),
  strategy: Type.String({ description: 'For models without one of their own.' }),
  requests: Type.Object(
    {
      finished: count('Model requests that have ended.'),
      failed: count('Of these, with an error of the server side or a broken answer.'),
      client_gone: count('Of these, left by their client.'),
      per_minute: count('Ended in the last minute.'),
      failed_per_minute: count('Failed in the last minute.'),
    },
    { description: 'Since the start, of the processes that live.' },
  ),
  models: Type.Array(ModelStatusSchema),
  failures: described(Type.Array(FailureSchema), 'The latest failed requests, newest first.'),
  workers: described(Type.Array(WorkerStatusSchema), 'The processes, each for itself.'),
})

/** What everybody else may see. */
export function withoutAddresses(status: Status): Status {
  const hidden = ({ address: _address, host: _host, ...target }: TargetStatus): TargetStatus => target
  return {
    ...status,
    models: status.models.map((model) => ({ ...model, targets: model.targets.map(hidden) })),
  }
}

export type Status = Static<typeof StatusSchema>
export type ModelStatus = Static<typeof ModelStatusSchema>
export type TargetStatus = Static<typeof TargetStatusSchema>
export type EngineStatus = Static<typeof EngineStatusSchema>
export type TargetError = Static<typeof TargetErrorSchema>
export type WorkerStatus = Static<typeof WorkerStatusSchema>
export type Failure = Static<typeof FailureSchema>
