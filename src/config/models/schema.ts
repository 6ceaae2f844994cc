import { type Static, type TSchema, Type } from '@sinclair/typebox'
import { MockSchema } from '../../sdk/mock-settings.ts'
import { ProfileSchema } from '../../sdk/profile.ts'
import { operations } from '../../sdk/provider.ts'
import { AutoModelSchema } from '../auto/schema.ts'
import { CacheSchema } from '../processors/cache-schema.ts'
import { ProcessorSchema } from '../processors/schema.ts'

/**
 * The shape of models-config.json: that of the Python llm-router, and what this one adds. Objects are open: keys
 * that are not named here are left alone.
 */

const text = (description: string) => Type.Optional(Type.String({ description }))
const yesNo = (description: string) => Type.Optional(Type.Boolean({ description }))
const members = (description: string) =>
  Type.Optional(Type.Record(Type.String(), Type.Unknown(), { description }))

const keepAlive = Type.Optional(
  Type.Union([Type.String(), Type.Number()], {
    description: 'How long an Ollama server keeps the model loaded ("30m", seconds, -1 forever).',
  }),
)
const defaults = members(
  "Default values for members that a request does not set, under the upstream's names.",
)
const engineOptions = members('Default Ollama options, such as {"num_ctx": 32768}.')

const numCtx = Type.Optional(
  Type.Union([Type.Literal('auto'), Type.Integer({ minimum: 1 })], {
    description:
      'Context length for Ollama requests that do not set one; "auto" chooses one that fits the prompt.',
    allowed: '"auto" or a number of tokens',
  }),
)
const pathOf = (operation: string) =>
  Type.Optional(
    Type.Union([Type.String(), Type.Literal(false)], {
      description: `Path for ${operation} requests; false: not supported by the server.`,
      allowed: 'a path or false',
    }),
  )

/** Where an operation is, by its name. */
const pathMembers = Type.Object(
  Object.fromEntries(operations.map((operation) => [operation, pathOf(operation)])),
  {
    description: 'Paths from the root of the server, instead of the standard paths and the path in api_host.',
  },
)

const apiType = {
  description: 'Provider type of the server: openai, vllm, ollama and others, or a type of an extension.',
}

/** How a server is reached and used. An entry of `servers` has these for all of its models, a provider for itself. */
const serverMembers = {
  api_host: text(
    `Address of the server, http or https. May contain \${NAME}, an environment variable. The default for type gemini is Google's.`,
  ),
  api_token: Type.Optional(
    Type.String({
      description: `Key for the server. Prefer \${NAME}, an environment variable, or api_token_file.`,
      writeOnly: true,
    }),
  ),
  api_token_file: text('File with the key; relative to this file.'),
  ca_file: text(
    'File with the CA certificates (PEM) that the server is verified against, instead of those that Node trusts; relative to this file.',
  ),
  client_cert_file: text('File with the client certificate (PEM) that the router presents to the server.'),
  client_key_file: text('File with its private key (PEM); not needed if it is in the same file.'),
  proxy: Type.Optional(
    Type.String({
      description: `HTTP proxy for this server, such as http://user:\${PASSWORD}@proxy:3128, instead of LLM_ROUTER_UPSTREAM_PROXY; "" disables it.`,
      writeOnly: true,
    }),
  ),
  weight: Type.Optional(
    Type.Number({ description: 'Relative share of requests for the weighted strategies, 0 to 1.' }),
  ),
  canary: yesNo(
    'true: the server gets exactly the share of sessions that `weight` sets, whatever the strategy.',
  ),
  gpus: Type.Optional(
    Type.Integer({
      minimum: 1,
      maximum: 1024,
      description: 'Number of accelerators, for busy seconds in metrics and usage; default 1.',
    }),
  ),
  keep_alive: keepAlive,
  defaults,
  options: engineOptions,
  num_ctx: numCtx,
  max_batch: Type.Optional(
    Type.Integer({
      minimum: 1,
      description: 'Maximum number of inputs per embedding request; larger requests are split.',
    }),
  ),
  max_in_flight: Type.Optional(
    Type.Union([Type.Literal('auto'), Type.Integer({ minimum: 1, maximum: 100_000 })], {
      description:
        'Maximum number of concurrent requests at this server; others wait in the router. "auto": as many as its engine can process.',
      allowed: '"auto" or a number from 1 to 100,000',
    }),
  ),
  pass_priority: yesNo(
    "true: requests carry their priority in vLLM's member `priority` (-1, 0, 1). The server needs --scheduling-policy priority.",
  ),
  tool_calling: yesNo(
    'false: tools, tool_choice and parallel_tool_calls are removed from requests to this server.',
  ),
  drop_params: Type.Optional(
    Type.Array(Type.String(), {
      description: 'Members to remove from requests because this server rejects them.',
    }),
  ),
  paths: Type.Optional(pathMembers),
  responses: yesNo(
    'true: the server supports the Responses API and gets such requests unchanged; otherwise they are translated into chats.',
  ),
  stream_usage: yesNo(
    'false: token counts in streams are requested from this server only if the client requests them.',
  ),
  fit_max_tokens: yesNo(
    'true: if the server reports that prompt and response together exceed the context, the request is resent with a lower token limit.',
  ),
  system_turns: Type.Optional(
    Type.Union([Type.Literal('keep'), Type.Literal('fold')], {
      description:
        'System messages after the first message of a translated request: "keep" sends them unchanged, "fold" as user text. Default: keep for OpenAI and Azure hosts, otherwise fold.',
      allowed: '"keep" or "fold"',
    }),
  ),
  health_check: Type.Optional(
    Type.Union([Type.Boolean(), Type.String()], {
      description: 'false: no health checks; a string: the path to check instead of the standard one.',
      allowed: 'true, false or a path',
    }),
  ),
  wake: yesNo(
    'true: a request that finds no other server wakes a vLLM that sleeps at level 1. The server needs VLLM_SERVER_DEV_MODE=1.',
  ),
  profile: Type.Optional(ProfileSchema),
  mock: Type.Optional(MockSchema),
}

const providerMembers = {
  id: Type.Optional(
    Type.Union([Type.String(), Type.Number()], {
      description: 'Name in logs and metrics, unique in the file. Derived from model and host if absent.',
    }),
  ),
  server: text(
    'Id of an entry in `servers`, from which the provider inherits every field that it does not set.',
  ),
  ...serverMembers,
  model_path: text('Name of the model at the server; its name here if absent.'),
  input_size: Type.Optional(
    // Checked by hand: a bad one is a warning, and as good as none.
    Type.Unknown({ type: 'number', minimum: 0, description: 'Context length in tokens.' }),
  ),
  is_embedding: yesNo('Whether it is an embedding model; shown in model lists.'),
}

/** A provider without `server`, or with all that it takes from its server. */
export const ProviderSchema = Type.Object(
  { ...providerMembers, api_type: Type.String(apiType) },
  { description: 'One server that serves the model.' },
)

/** A provider with `server`, as it is written. */
export const ServedProviderSchema = Type.Object({
  ...providerMembers,
  api_type: Type.Optional(Type.String(apiType)),
})

const WrittenProviderSchema = Type.Object(ServedProviderSchema.properties, {
  description: 'One server that serves the model.',
  anyOf: [{ required: ['api_type'] }, { required: ['server'] }],
})

const KubernetesSchema = Type.Object(
  {
    namespace: Type.String({ minLength: 1, allowed: 'the name of a namespace' }),
    service: Type.String({ minLength: 1, allowed: 'the name of a Service' }),
    port: Type.Optional(
      Type.Union([Type.Integer({ minimum: 1, maximum: 65_535 }), Type.String({ minLength: 1 })], {
        description: 'Port of the pods, by number or name; by default the only port of the Service.',
        allowed: 'a port from 1 to 65535 or its name',
      }),
    ),
  },
  {
    description:
      'A Service in the cluster of the router; each ready pod is a separate target. api_host may be absent.',
    allowed: 'an object with namespace, service and port',
  },
)

export const ServerSchema = Type.Object(
  {
    id: Type.String({
      minLength: 1,
      allowed: 'a name for the server',
      description:
        'Name of the server, unique among the servers. Providers refer to it; ids of targets begin with it.',
    }),
    api_type: Type.String(apiType),
    models: Type.Optional(
      Type.Union([Type.Literal('*'), Type.Array(Type.String({ minLength: 1 }))], {
        description:
          'Models that are published without being listed in active_models: "*" for all models that the server lists, kept up to date, or a list of names.',
        allowed: '"*" or a list of names of models',
      }),
    ),
    names: Type.Optional(
      Type.Record(Type.String(), Type.String(), {
        description: 'Maps the names of published models at the server to their public names.',
      }),
    ),
    addresses: Type.Optional(
      Type.Literal('all', {
        description: '"all": each address that the hostname in api_host resolves to is a separate target.',
        allowed: '"all"',
      }),
    ),
    kubernetes: Type.Optional(KubernetesSchema),
    ...serverMembers,
  },
  {
    description:
      'A server that providers refer to. It may also set fields that apply to all of its models, such as weight and defaults.',
  },
)

const modelMembers = {
  strategy: text('Strategy of this model; overrides LLM_ROUTER_BALANCE_STRATEGY.'),
  fallbacks: Type.Optional(
    Type.Array(Type.String(), {
      description: 'Active models to try, in this order, if no provider of this model can answer.',
    }),
  ),
  hold_timeout: Type.Optional(
    Type.Number({
      minimum: 0,
      maximum: 86_400,
      description:
        'How long in seconds a request waits while no server of the model is usable (scaled to zero, asleep, down); overrides LLM_ROUTER_HOLD_TIMEOUT.',
      allowed: 'a number of seconds from 0 to 86400',
    }),
  ),
  keep_alive: keepAlive,
  defaults,
  options: engineOptions,
  num_ctx: numCtx,
  capabilities: Type.Optional(
    Type.Array(Type.String(), {
      description:
        "Capabilities of the model, in Ollama's terms: completion, tools, vision, thinking, embedding.",
    }),
  ),
  details: Type.Optional(
    Type.Record(Type.String(), Type.String(), {
      description: 'Details that Ollama clients show: family, parameter_size, quantization_level, format.',
    }),
  ),
}

/** A model whose providers are still to be checked, one by one. */
export const ModelShellSchema = withProviders(Type.Unknown())

export const ModelSchema = withProviders(WrittenProviderSchema)

/** Keys that begin like this are for people: comments, and what editors want. */
const remarks = { '^[$_]': {} }

const GroupSchema = Type.Object(
  {},
  {
    description: 'A group of models, with a name of your choice.',
    patternProperties: remarks,
    additionalProperties: ModelSchema,
  },
)

/** The whole file, for its JSON Schema. The router checks it part by part, to give each error its place. */
export const ModelsConfigSchema = Type.Object(
  {
    $schema: Type.Optional(Type.String({ description: 'JSON Schema of this file, for editors.' })),
    servers: Type.Optional(
      Type.Array(ServerSchema, { description: 'Servers that providers refer to; the name is reserved.' }),
    ),
    aliases: Type.Optional(
      Type.Record(Type.String(), Type.String(), {
        description: 'Maps further names to models; the name is reserved.',
      }),
    ),
    processors: Type.Optional(
      Type.Array(Type.Union([CacheSchema, ...ProcessorSchema.anyOf]), {
        description: 'What requests and answers pass through, such as masking; a reserved name.',
      }),
    ),
    auto_model: Type.Optional(AutoModelSchema),
    active_models: Type.Optional(
      Type.Record(Type.String(), Type.Array(Type.String()), {
        description:
          'Models to serve, by group. All others are inactive. Required unless a server has `models`.',
      }),
    ),
  },
  {
    title: 'models-config.json of llm-router',
    description: 'Models, the servers behind them, and which of them are served.',
    patternProperties: remarks,
    additionalProperties: GroupSchema,
  },
)

export type Provider = Static<typeof ProviderSchema>
export type Server = Static<typeof ServerSchema>
export type ModelShell = Static<typeof ModelShellSchema>

function withProviders<Item extends TSchema>(provider: Item) {
  return Type.Object(
    {
      providers: Type.Array(provider, { description: 'The servers of this model.' }),
      providers_sleep: Type.Optional(
        Type.Array(provider, {
          description: 'Standby servers: checked, but not used unless LLM_ROUTER_USE_SLEEPING allows it.',
        }),
      ),
      ...modelMembers,
    },
    { description: 'A model, under the name that clients use.' },
  )
}
