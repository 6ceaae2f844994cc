import { type Static, Type } from '@sinclair/typebox'

export const effectActions = ['drain', 'resume', 'reset', 'load', 'unload'] as const
export type EffectAction = (typeof effectActions)[number]

const count = (description: string) => Type.Integer({ minimum: 0, description })

export const EffectSchema = Type.Object({
  action: Type.String(),
  target: Type.Optional(Type.String()),
  model: Type.Optional(Type.String()),
  text: Type.String({ description: 'What the action will do, to show before it is confirmed.' }),
  needs_force: Type.Boolean({
    description: 'Whether the action requires `?force=true`: the target is the last usable one of a model.',
  }),
  in_flight: count('Requests that the targets are processing now; they always run to their end.'),
  waiting: count('Requests for the models that wait for a target.'),
  models: Type.Array(
    Type.Object({
      name: Type.String(),
      usable_targets: count('Targets that can be used now.'),
      usable_after: count('Targets that can be used after the action.'),
      waiting: count('Requests that wait for a target.'),
    }),
  ),
  targets: Type.Array(
    Type.Object({
      id: Type.String(),
      in_flight: count('Running requests.'),
      supported: Type.Boolean({ description: 'false: its server decides which models it keeps in memory.' }),
      loaded: Type.Union([Type.Boolean(), Type.Null()], {
        description: 'Whether its server has the model in memory; null: unknown.',
      }),
    }),
  ),
})

export type Effect = Static<typeof EffectSchema>
