import { type Static, Type } from '@sinclair/typebox'
import { ProfileSchema } from '../profile.ts'

const orNull = <Kind extends ReturnType<typeof Type.String> | ReturnType<typeof Type.Number>>(kind: Kind) =>
  Type.Union([kind, Type.Null()])
const amount = orNull(Type.Number())

const CatalogueModelSchema = Type.Object({
  name: Type.String(),
  group: Type.String({ description: 'Its group in models-config.json.' }),
  aliases: Type.Array(Type.String(), { description: 'Further names that clients may use.' }),
  context: Type.Integer({
    minimum: 0,
    description: 'Smallest context of its targets, in tokens; 0: unknown.',
  }),
  embedding: Type.Boolean(),
  capabilities: Type.Array(Type.String(), {
    description: "In Ollama's terms, as reported to Ollama clients.",
  }),
  operations: Type.Array(Type.String(), {
    description: 'Operations that at least one of its targets supports.',
  }),
  strategy: Type.String(),
  fallbacks: Type.Array(Type.String(), {
    description: 'Models to try, in order, when all of its targets fail.',
  }),
  targets: Type.Array(
    Type.Object({
      id: Type.String(),
      type: Type.String({ description: 'Kind of server, its api_type.' }),
      upstream_model: Type.String({ description: 'Its name at the server.' }),
      context: Type.Integer({ minimum: 0, description: 'Configured; 0: unknown.' }),
      max_in_flight: Type.Union([Type.Integer(), Type.Literal('auto'), Type.Null()]),
      standby: Type.Boolean({ description: 'It is one of providers_sleep.' }),
      canary: Type.Boolean(),
      profile: Type.Union([Type.Object(ProfileSchema.properties), Type.Null()], {
        description: 'Limits of the model; null: unknown.',
      }),
    }),
  ),
  prices: Type.Array(
    Type.Object({
      id: Type.String(),
      target: orNull(Type.String()),
      currency: orNull(Type.String()),
      prompt: amount,
      cached_prompt: amount,
      completion: amount,
      gpu_second: amount,
      request: amount,
    }),
    { description: 'Prices from the database that apply to the model, the most specific first.' },
  ),
})

export const CatalogueSchema = Type.Object({
  models: Type.Array(CatalogueModelSchema, {
    description: 'As seen by clients that may use all models.',
  }),
})

export type CatalogueModel = Static<typeof CatalogueModelSchema>
