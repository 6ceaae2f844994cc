import { type Static, Type } from '@sinclair/typebox'

const ValueSchema = Type.Union([
  Type.String(),
  Type.Number(),
  Type.Boolean(),
  Type.Array(Type.String()),
  Type.Null(),
])

const SettingSchema = Type.Object({
  name: Type.String({ description: 'Its environment variable.' }),
  value: ValueSchema,
  default: ValueSchema,
  unit: Type.Union([Type.String(), Type.Null()], { description: '`seconds` or `bytes`, for numbers.' }),
  source: Type.Union([Type.Literal('env'), Type.Literal('default')]),
  secret: Type.Optional(Type.Boolean({ description: 'true: the value is never shown.' })),
  is_set: Type.Optional(Type.Boolean({ description: 'Whether a secret has a value.' })),
  hidden: Type.Optional(Type.Boolean({ description: 'true: a path or address, which only operators see.' })),
  description: Type.String(),
})

const FindingSchema = Type.Object({
  message: Type.String(),
  line: Type.Union([Type.Integer(), Type.Null()]),
  column: Type.Union([Type.Integer(), Type.Null()]),
})

const FileSchema = Type.Object({
  setting: Type.String({ description: 'The environment variable that names it.' }),
  path: Type.Union([Type.String(), Type.Null()], { description: 'For operators only.' }),
  state: Type.Union([Type.Literal('loaded'), Type.Literal('rejected')], {
    description: 'rejected: the last change has errors; the previous content stays in use.',
  }),
  at: Type.Union([Type.String({ format: 'date-time' }), Type.Null()], {
    description: 'When it was loaded or rejected; null: unknown.',
  }),
  errors: Type.Array(FindingSchema),
  warnings: Type.Array(FindingSchema),
})

export const SettingsSchema = Type.Object({
  versions: Type.Object({
    router: Type.String(),
    node: Type.String(),
    config: Type.String({ description: 'Digest of models-config.json.' }),
    config_loaded_at: Type.String({ format: 'date-time' }),
  }),
  settings: Type.Array(SettingSchema),
  files: Type.Array(FileSchema, { description: 'Files that are reloaded when they change.' }),
})

export type Settings = Static<typeof SettingsSchema>
