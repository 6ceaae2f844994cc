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
  capabilities: Type.Array(Type.String(), { description: "In Ollama's words, as its clients see them." }),
  operations: Type.Array(Type.String(), { description: 'What any of its targets can be asked for.' }),
  strategy: Type.String(),
  fallbacks: Type.Array(Type.String(), {
    description: 'Models that are tried when all of its targets fail.',
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
        description: 'What the model takes; null: nothing is known of it.',
      }),
    }),
  ),
  prices: Type.Array(
    Type.Object({
      id: Type.String(),
      target: orNull(Type.String()),
      currency: orNull(Type.String()),
      ...{ prompt: amount, cached_prompt: amount, completion: amount, gpu_second: amount, request: amount },
    }),
    { description: 'Of the database; those that apply, the most specific first.' },
  ),
})

export const CatalogueSchema = Type.Object({
  models: Type.Array(CatalogueModelSchema, {
    description: 'As clients with a right to all models see them.',
  }),
})

export type CatalogueModel = Static<typeof CatalogueModelSchema>
