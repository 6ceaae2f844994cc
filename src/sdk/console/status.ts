import { type Static, type TSchema, Type } from '@sinclair/typebox'

/**
 * The response of `GET P/status` for all processes of a router: models, targets and failures. It contains no content of
 * requests or responses, no paths and no keys. Addresses are for operators only, see `withoutAddresses`. Times are ISO 8601,
 * shares 0 to 1.
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

/** Best first. */
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
  'standby',
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
  state: Type.Optional(words(['ready', 'loading', 'asleep', 'down'], 'As the engine reports it.')),
  sleep: Type.Optional(
    words(
      ['weights_offloaded', 'discard_all'],
      'How it sleeps: weights_offloaded can be woken quickly; discard_all is never woken by the router.',
    ),
  ),
  running: known('Running requests, from all of its users.'),
  waiting: known('Requests in its own queue, from all of its users.'),
  kv_use: part('Share of the KV cache in use.'),
  cache_hit_ratio: part('Share of prompt tokens served from its prefix cache.'),
  slots: known('Number of requests that it can run concurrently.'),
  loaded: Type.Optional(
    Type.Array(
      Type.Object({
        name: Type.String({ description: "The engine's name for it." }),
        context: known('Context length in use, in tokens.'),
        expires_at: Type.Optional(Type.String({ description: 'When the engine will unload it.' })),
      }),
      { description: 'Models in memory.' },
    ),
  ),
})

export const TargetStatusSchema = Type.Object({
  id: Type.String(),
  type: Type.String({ description: 'Kind of server, its api_type.' }),
  server: Type.String({
    description:
      'Name of its server, the same for all targets on it: the id of an entry in `servers`, otherwise a name that the router assigns to the host, or the id of the target.',
  }),
  host: Type.Optional(
    Type.String({
      description: 'Host and port of its server, as configured. Only for requests with an operator key.',
    }),
  ),
  address: Type.Optional(
    Type.String({
      description: "The target's address, if its server has several. Only for requests with an operator key.",
    }),
  ),
  state: words(
    targetStates,
    'up; trial: a probe request is running; busy: it asked for a pause; loading: loading its model; hung: skipped because its responses do not start; asleep; misconfigured: rejects the key or the model; open: the breaker is open; down: health checks fail; drained: an operator has drained it; standby: listed in providers_sleep and not in use.',
  ),
  since: Type.String({ format: 'date-time', description: 'When its state began.' }),
  reason: Type.Optional(
    Type.String({ description: 'Why the target is misconfigured, such as a rejected api_token.' }),
  ),
  ejected_for: Type.Optional(
    Type.Array(Type.String(), {
      description:
        'Features for which the target is skipped because such requests failed: image, tools, embedding ...',
    }),
  ),
  breaker: words(['closed', 'open', 'half_open'], 'Open: gets no requests.'),
  down: Type.Optional(
    words(
      ['refused', 'silent', 'failing'],
      'Why its health checks fail: connections are refused, time out, or fail otherwise.',
    ),
  ),
  retry_in_seconds: Type.Number({ minimum: 0, description: 'Time until it may be tried again.' }),
  in_flight: count('Running requests.'),
  places: Type.Optional(
    count(
      'Maximum number of concurrent requests, over all processes that share the limit; absent: no limit.',
    ),
  ),
  uses: count('Requests for which it was picked since the start.'),
  requests_per_minute: count('Requests that ended in the last minute.'),
  failed_per_minute: count('Of these, those that failed.'),
  failure_rate: share('Moving average of failures.'),
  first_content_ms: Type.Optional(
    Type.Number({ description: 'Moving average of the time to the first content; absent before the first.' }),
  ),
  tokens_per_second: Type.Optional(
    Type.Number({ description: 'Tokens per second after the first content, from a moving average.' }),
  ),
  weight: share('Current weight for the weighted strategies.'),
  configured_weight: Type.Optional(share('Configured weight, if an operator has set another one.')),
  context: count('Context length in tokens; 0 when unknown.'),
  last_errors: described(Type.Array(TargetErrorSchema), 'The latest failed attempts, newest first.'),
  engine: Type.Optional(
    described(EngineStatusSchema, 'What the engine reported at the last poll; unreported values are absent.'),
  ),
})

const ModelStatusSchema = Type.Object({
  name: Type.String(),
  strategy: Type.String(),
  waiting: count('Requests that wait for a slot at a target, or for a usable target.'),
  refused_per_minute: count('Requests rejected in the last minute because no target was available.'),
  panic: Type.Boolean({
    description: 'All targets are down, and those whose checks only time out are used anyway.',
  }),
  targets: Type.Array(TargetStatusSchema),
})

const FailureSchema = Type.Object({
  at: Type.String({ format: 'date-time' }),
  model: Type.String(),
  target: Type.Optional(Type.String({ description: 'The last one that was tried.' })),
  status: Type.Integer({ description: 'HTTP status that the client got.' }),
  outcome: Type.String({ description: 'error, or truncated: the response was cut off.' }),
  code: Type.String(),
  text: Type.String({ description: 'What the code says, in words.' }),
})

const FailedReloadSchema = Type.Object({
  setting: Type.String({ description: 'The environment variable that names the files.' }),
  at: Type.String({ format: 'date-time' }),
  errors: count('Number of errors; the log has them with line and column.'),
})

const WorkerStatusSchema = Type.Object({
  worker: Type.Integer({ description: 'Number of the process in the cluster; 0: single process.' }),
  pid: Type.Integer(),
  state: words([...routerStates, 'silent'], 'State of the process; silent: it does not respond.'),
  started_at: Type.String({ format: 'date-time' }),
  uptime_seconds: Type.Number({ minimum: 0 }),
  in_flight: count('Attempts in flight.'),
  waiting: count('Requests that wait for a free target.'),
  finished: count('Model requests that have ended.'),
  failed: count('Of these, those that ended with a server error or a truncated response.'),
  memory_bytes: count('Resident memory.'),
  config: Type.String({ description: 'The version of its configuration.' }),
})

export const StatusSchema = Type.Object({
  version: Type.String(),
  node: Type.String({ description: 'Version of Node.js.' }),
  config: Type.Object({
    version: Type.String({ description: 'Digest of models-config.json.' }),
    loaded_at: Type.String({ format: 'date-time' }),
    failed: described(
      Type.Array(FailedReloadSchema),
      'Changes that were rejected; the previous configuration stays in use.',
    ),
  }),
  started_at: Type.String({ format: 'date-time' }),
  uptime_seconds: Type.Number({ minimum: 0 }),
  worker: Type.Integer({
    description: 'Number of the process that answered for all processes of the cluster; 0: single process.',
  }),
  state: words(
    routerStates,
    'ready; degraded: some targets cannot be used; unusable: none can; draining: the process is shutting down.',
  ),
  strategy: Type.String({ description: 'For models that do not set one.' }),
  requests: Type.Object(
    {
      finished: count('Model requests that have ended.'),
      failed: count('Of these, those that ended with a server error or a truncated response.'),
      client_gone: count('Of these, those that the client cancelled.'),
      per_minute: count('Ended in the last minute.'),
      failed_per_minute: count('Failed in the last minute.'),
    },
    { description: 'Since the start, over the running processes.' },
  ),
  models: Type.Array(ModelStatusSchema),
  failures: described(Type.Array(FailureSchema), 'The latest failed requests, newest first.'),
  workers: described(Type.Array(WorkerStatusSchema), 'One entry per process.'),
})

/** The status for requests without an operator key. */
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

/** Changes of an object: new values by member, and the names of removed members in `unset`. */
export type Changes<Whole> = Partial<Whole> & { unset?: string[] }

export type TargetDelta = Changes<TargetStatus> & { id: string }
export type ModelDelta = Changes<Omit<ModelStatus, 'targets'>> & {
  name: string
  targets?: TargetDelta[]
  /** Ids of targets that the model no longer has. */
  removed?: string[]
}

/** The difference between a status and the previous one. Unchanged members are absent; a new model or target is complete. */
export interface StatusDelta {
  at: string
  status: Changes<Omit<Status, 'models'>>
  models: ModelDelta[]
  /** Names of removed models. */
  removed?: string[]
}
