import { type Static, Type } from '@sinclair/typebox'

/** Worst first. */
export const severities = ['critical', 'error', 'warning', 'info'] as const
const subjects = ['target', 'model', 'router'] as const

const ProblemSchema = Type.Object({
  id: Type.String({ description: 'Stays the same while the problem lasts.' }),
  severity: Type.Unsafe<(typeof severities)[number]>(
    Type.Union(
      severities.map((severity) => Type.Literal(severity)),
      { description: 'critical: requests for a model fail; info: intended, or expected to pass by itself.' },
    ),
  ),
  code: Type.String({ description: 'Such as `misconfigured`, `no_usable_target` or `reload_failed`.' }),
  subject: Type.Object({
    type: Type.Unsafe<(typeof subjects)[number]>(Type.Union(subjects.map((type) => Type.Literal(type)))),
    name: Type.Optional(Type.String({ description: 'Id of the target, or name of the model.' })),
    models: Type.Optional(Type.Array(Type.String(), { description: 'Models that the target serves.' })),
  }),
  text: Type.String({ description: 'What is wrong.' }),
  action: Type.String({ description: 'What to do.' }),
  since: Type.Union([Type.String({ format: 'date-time' }), Type.Null()], {
    description: 'When the problem began; null: unknown.',
  }),
})

export const ProblemsSchema = Type.Object({
  as_of: Type.String({ format: 'date-time' }),
  problems: Type.Array(ProblemSchema, { description: 'Worst first.' }),
})

export type Problem = Static<typeof ProblemSchema>
