import { type Static, Type } from '@sinclair/typebox'

export const effectActions = ['drain', 'resume', 'reset', 'load', 'unload'] as const
export type EffectAction = (typeof effectActions)[number]

const count = (description: string) => Type.Integer({ minimum: 0, description })

export const EffectSchema = Type.Object({
  action: Type.String(),
  target: Type.Optional(Type.String()),
  model: Type.Optional(Type.String()),
  text: Type.String({ description: 'What will happen, for a confirmation.' }),
  needs_force: Type.Boolean({
    description: 'It takes `?force=true`: the target is the last usable one of a model.',
  }),
  in_flight: count('Requests that the targets work on now; they are finished in any case.'),
  waiting: count('Requests of the models that wait for a target.'),
  models: Type.Array(
    Type.Object({
      name: Type.String(),
      usable_targets: count('Targets that can be used now.'),
      usable_after: count('The same, once it is done.'),
      waiting: count('Requests that wait for a target.'),
    }),
  ),
  targets: Type.Array(
    Type.Object({
      id: Type.String(),
      in_flight: count('Running requests.'),
      supported: Type.Boolean({ description: 'false: its server decides itself what it holds in memory.' }),
      loaded: Type.Union([Type.Boolean(), Type.Null()], {
        description: 'Whether it has the model in memory; null: unknown.',
      }),
    }),
  ),
})

export type Effect = Static<typeof EffectSchema>
