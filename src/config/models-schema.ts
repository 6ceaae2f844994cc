import { type Static, type TSchema, Type } from '@sinclair/typebox'
import { MockSchema } from '../sdk/mock-settings.ts'
import { operations } from '../sdk/provider.ts'

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
    description: 'How long an Ollama server keeps the model loaded ("30m", seconds, -1 for ever).',
  }),
)
const defaults = members('Request members for what a request leaves out, by their name at the upstream.')
const engineOptions = members('Ollama options for what a request leaves out, such as {"num_ctx": 32768}.')

const numCtx = Type.Optional(
  Type.Union([Type.Literal('auto'), Type.Integer({ minimum: 1 })], {
    description:
      'Context length for an Ollama server, for what a request leaves out; "auto" chooses one that holds the prompt.',
    allowed: '"auto" or a number of tokens',
  }),
)
const pathOf = (operation: string) =>
  Type.Optional(
    Type.Union([Type.String(), Type.Literal(false)], {
      description: `Path for ${operation} requests; false: the server has none.`,
      allowed: 'a path or false',
    }),
  )

/** Where an operation is, by its name. */
const pathMembers = Type.Object(
  Object.fromEntries(operations.map((operation) => [operation, pathOf(operation)])),
  {
    description: 'Paths from the root of the server, in place of the standard ones and of that in api_host.',
  },
)

export const ProviderSchema = Type.Object(
  {
    id: Type.Optional(
      Type.Union([Type.String(), Type.Number()], {
        description: 'Name in logs and metrics, unique in the file. Made from model and host when absent.',
      }),
    ),
    api_type: Type.String({
      description:
        'Kind of server: openai, vllm, llamacpp, lmstudio, ollama, anthropic, mock, or of an extension.',
    }),
    api_host: text(`Address of the server, http or https. May hold \${NAME} for an environment variable.`),
    api_token: Type.Optional(
      Type.String({
        description: `Key for the server. Better \${NAME} for an environment variable, or api_token_file.`,
        writeOnly: true,
      }),
    ),
    api_token_file: text('File that holds the key; relative to this file.'),
    ca_file: text(
      'File with the CA certificates (PEM) that the server is checked against, in place of the ones that Node trusts; relative to this file.',
    ),
    client_cert_file: text('File with the certificate (PEM) that the router shows to the server.'),
    client_key_file: text('File with its private key (PEM); not needed where that is in the same file.'),
    proxy: Type.Optional(
      Type.String({
        description: `HTTP proxy for this server, such as http://user:\${PASSWORD}@proxy:3128, in place of LLM_ROUTER_UPSTREAM_PROXY; "" uses none.`,
        writeOnly: true,
      }),
    ),
    model_path: text('Name of the model at the server; its name here when absent.'),
    input_size: Type.Optional(
      // Checked by hand: a bad one is a warning, and as good as none.
      Type.Unknown({ type: 'number', minimum: 0, description: 'Context length in tokens.' }),
    ),
    weight: Type.Optional(
      Type.Number({ description: 'Share of the requests for the weighted strategies, 0 to 1.' }),
    ),
    keep_alive: keepAlive,
    defaults,
    options: engineOptions,
    num_ctx: numCtx,
    max_batch: Type.Optional(
      Type.Integer({
        minimum: 1,
        description: 'Most inputs of one embedding request; larger ones are split.',
      }),
    ),
    tool_calling: yesNo('false: tools, tool_choice and parallel_tool_calls never reach this server.'),
    drop_params: Type.Optional(
      Type.Array(Type.String(), {
        description: 'Request members that this server refuses; they are left out.',
      }),
    ),
    paths: Type.Optional(pathMembers),
    responses: yesNo(
      'true: the server has the Responses API, and gets its requests as they are; else it gets chats.',
    ),
    stream_usage: yesNo('false: never ask this server for token counts in streams when the client did not.'),
    health_check: Type.Optional(
      Type.Union([Type.Boolean(), Type.String()], {
        description:
          'false: never check this server on its own; a text: the path to check in place of the standard one.',
        allowed: 'true, false or a path',
      }),
    ),
    is_embedding: yesNo('Whether the model makes embeddings; for listings.'),
    mock: Type.Optional(MockSchema),
  },
  { description: 'One server that serves the model.' },
)

const modelMembers = {
  strategy: text('How to choose among the providers, where it is not as LLM_ROUTER_BALANCE_STRATEGY says.'),
  fallbacks: Type.Optional(
    Type.Array(Type.String(), {
      description: 'Active models to try, in this order, when all providers of this one fail or rest.',
    }),
  ),
  keep_alive: keepAlive,
  defaults,
  options: engineOptions,
  num_ctx: numCtx,
  capabilities: Type.Optional(
    Type.Array(Type.String(), {
      description:
        'What the model can do, in the words of Ollama: completion, tools, vision, thinking, embedding.',
    }),
  ),
  details: Type.Optional(
    Type.Record(Type.String(), Type.String(), {
      description: 'What clients of Ollama show: family, parameter_size, quantization_level, format.',
    }),
  ),
}

/** A model whose providers are still to be checked, one by one. */
export const ModelShellSchema = withProviders(Type.Unknown())

export const ModelSchema = withProviders(ProviderSchema)

/** Keys that begin like this are for people: comments, and what editors want. */
const remarks = { '^[$_]': {} }

const GroupSchema = Type.Object(
  {},
  {
    description: 'A group of models; its name is free.',
    patternProperties: remarks,
    additionalProperties: ModelSchema,
  },
)

/** The whole file, for its JSON Schema. The router checks it part by part, to give each error its place. */
export const ModelsConfigSchema = Type.Object(
  {
    $schema: Type.Optional(Type.String({ description: 'Where editors find the description of this file.' })),
    active_models: Type.Record(Type.String(), Type.Array(Type.String()), {
      description: 'The models that are served, by group. All others are parked.',
    }),
  },
  {
    title: 'models-config.json of llm-router',
    description: 'Models, the servers behind them, and which of them are served.',
    patternProperties: remarks,
    additionalProperties: GroupSchema,
  },
)

export type Provider = Static<typeof ProviderSchema>
export type ModelShell = Static<typeof ModelShellSchema>

function withProviders<Item extends TSchema>(provider: Item) {
  return Type.Object(
    {
      providers: Type.Array(provider, { description: 'The servers that take the requests for this model.' }),
      providers_sleep: Type.Optional(
        Type.Array(provider, { description: 'Parked servers: checked, but not used.' }),
      ),
      ...modelMembers,
    },
    { description: 'A model; its name here is what clients ask for.' },
  )
}
