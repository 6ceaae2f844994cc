import { type Static, type TSchema, Type } from '@sinclair/typebox'
import { AutoModelSchema } from '../auto/schema.ts'
import { CacheSchema } from '../processors/cache-schema.ts'
import { ProcessorSchema } from '../processors/schema.ts'
import {
  apiType,
  defaults,
  engineOptions,
  keepAlive,
  numCtx,
  ServerSchema,
  serverMembers,
  text,
  yesNo,
} from './server-schema.ts'

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
    // Validated separately: an invalid value is ignored with a warning.
    Type.Unknown({ type: 'number', minimum: 0, description: 'Context length in tokens.' }),
  ),
  is_embedding: yesNo('Whether it is an embedding model; shown in model lists.'),
}

/** A provider without `server`, or after inheritance from its server. */
export const ProviderSchema = Type.Object(
  { ...providerMembers, api_type: Type.String(apiType) },
  { description: 'One server that serves the model.' },
)

/** A provider with `server`, before inheritance. */
export const ServedProviderSchema = Type.Object({
  ...providerMembers,
  api_type: Type.Optional(Type.String(apiType)),
})

const EitherProviderSchema = Type.Object(ServedProviderSchema.properties, {
  description: 'One server that serves the model.',
  anyOf: [{ required: ['api_type'] }, { required: ['server'] }],
})

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

/** A model whose providers are validated separately. */
export const ModelShellSchema = withProviders(Type.Unknown())

export const ModelSchema = withProviders(EitherProviderSchema)

/** Keys with these prefixes are ignored: comments, and `$schema` for editors. */
const ignoredMembers = { '^[$_]': {} }

const GroupSchema = Type.Object(
  {},
  {
    description: 'A group of models, with a name of your choice.',
    patternProperties: ignoredMembers,
    additionalProperties: ModelSchema,
  },
)

/**
 * The whole file, for its JSON Schema: that of the Python llm-router, with additions. Unknown members are ignored. The router
 * validates it part by part, to report each error with its path.
 */
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
        description: 'Processors of requests and responses, such as masking; the name is reserved.',
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
    patternProperties: ignoredMembers,
    additionalProperties: GroupSchema,
  },
)

export type Provider = Static<typeof ProviderSchema>
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
