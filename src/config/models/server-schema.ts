import { type Static, Type } from '@sinclair/typebox'
import { MockSchema } from '../../sdk/mock-settings.ts'
import { operations } from '../../sdk/operation.ts'
import { ProfileSchema } from '../../sdk/profile.ts'

export const text = (description: string) => Type.Optional(Type.String({ description }))
export const yesNo = (description: string) => Type.Optional(Type.Boolean({ description }))
const members = (description: string) =>
  Type.Optional(Type.Record(Type.String(), Type.Unknown(), { description }))

export const keepAlive = Type.Optional(
  Type.Union([Type.String(), Type.Number()], {
    description: 'How long an Ollama server keeps the model loaded ("30m", seconds, -1 forever).',
  }),
)
export const defaults = members(
  "Default values for fields that a request does not set, under the upstream's names.",
)
export const engineOptions = members('Default Ollama options, such as {"num_ctx": 32768}.')

export const numCtx = Type.Optional(
  Type.Union([Type.Literal('auto'), Type.Integer({ minimum: 1 })], {
    description:
      'Context length for Ollama requests that do not set one; "auto" chooses one that fits the prompt.',
    allowed: '"auto" or a number of tokens',
  }),
)
export const apiType = {
  description: 'Provider type of the server: openai, vllm, ollama and others, or a type of an extension.',
}

const pathOf = (operation: string) =>
  Type.Optional(
    Type.Union([Type.String(), Type.Literal(false)], {
      description: `Path for ${operation} requests; false: not supported by the server.`,
      allowed: 'a path or false',
    }),
  )

/** Path of each operation. */
const pathMembers = Type.Object(
  Object.fromEntries(operations.map((operation) => [operation, pathOf(operation)])),
  {
    description: 'Paths from the root of the server, instead of the standard paths and the path in api_host.',
  },
)

/** How a server is reached and used: members of an entry of `servers`, for all of its models, and of a provider. */
export const serverMembers = {
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
    "true: requests carry their priority in vLLM's field `priority` (-1, 0, 1). The server needs --scheduling-policy priority.",
  ),
  tool_calling: yesNo(
    'false: tools, tool_choice and parallel_tool_calls are removed from requests to this server.',
  ),
  drop_params: Type.Optional(
    Type.Array(Type.String(), {
      description: 'Fields to remove from requests because this server rejects them.',
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

export type Server = Static<typeof ServerSchema>
