import { type Static, Type } from '@sinclair/typebox'
import { GuardrailSchema } from './guardrail-schema.ts'
import { retrievalSchema } from './retrieval-schema.ts'
import { address, scope, strings, yesNo } from './schema-parts.ts'

/** Names of kinds. Their length limits the length of a pseudonym. */
const kindPattern = '^[A-Z]{2,7}$'
const byKind = <Value extends Parameters<typeof Type.Record>[1]>(value: Value, description: string) =>
  Type.Optional(
    Type.Record(Type.String({ pattern: kindPattern }), value, {
      description,
      additionalProperties: false,
      allowed: 'an object whose names are kinds: 2 to 7 capital letters',
    }),
  )

const MaskingServiceSchema = Type.Object({
  type: Type.Union([Type.Literal('presidio'), Type.Literal('pii_masker')], {
    description:
      '"presidio": Microsoft Presidio\'s analyzer. "pii_masker": the masker service of the Python llm-router.',
    allowed: '"presidio" or "pii_masker"',
  }),
  url: address('Address of the service.'),
  language: Type.Optional(Type.String({ description: 'Language for Presidio, such as pl. Default: en.' })),
  min_score: Type.Optional(
    Type.Number({
      minimum: 0,
      maximum: 1,
      description: 'Minimum score of a Presidio result. Default: 0.5.',
    }),
  ),
  entities: strings('Entities that Presidio looks for. Default: all that it supports.'),
})

/** Masking: replaces personal data and secrets with pseudonyms. */
export const MaskingSchema = Type.Object(
  {
    type: Type.Literal('masking', {
      description: 'Masking: replaces personal data and secrets with pseudonyms.',
    }),
    ...scope,
    kinds: byKind(Type.Boolean(), 'Built-in kinds by name; false disables one. Default: all are enabled.'),
    words: byKind(Type.Array(Type.String({ minLength: 1 })), 'Words and phrases to mask, by kind.'),
    expressions: byKind(
      Type.Union([Type.String({ minLength: 1 }), Type.Array(Type.String({ minLength: 1 }))], {
        allowed: 'an expression or a list of them',
      }),
      'Regular expressions to mask (RE2 syntax), by kind.',
    ),
    styles: byKind(
      Type.Union([Type.Literal('word'), Type.Literal('shaped')], { allowed: '"word" or "shaped"' }),
      '"shaped": pseudonyms of this kind look like an address or number; for EMAIL, URL, IP and PHONE. Used automatically where a schema in the request requires such a format.',
    ),
    phone_countries: Type.Optional(
      Type.Array(Type.String({ pattern: '^[A-Z]{2}$' }), {
        description:
          'Countries whose phone numbers are recognized without country prefix, the home country first. Default: ["PL", "US", "GB"].',
        allowed: 'a list of country codes such as "PL"',
      }),
    ),
    system: yesNo('false: system prompts, and tool and schema descriptions, are not masked.'),
    media: Type.Optional(
      Type.Union([Type.Literal('refuse'), Type.Literal('pass')], {
        description:
          'Images, audio and files, which cannot be masked: "refuse" (default) rejects the request, "pass" passes them on.',
        allowed: '"refuse" or "pass"',
      }),
    ),
    unmask: yesNo('false: responses keep the pseudonyms.'),
    services: Type.Optional(
      Type.Array(MaskingServiceSchema, {
        description: 'Services that find further values, called one after the other.',
      }),
    ),
  },
  {
    description:
      'Replaces personal data and secrets in requests with pseudonyms, and restores them in responses.',
  },
)

/** A processor of an extension, which validates its own options. */
export const OtherProcessorSchema = Type.Object(
  {
    type: Type.String({ description: 'Name of a processor type of an extension.' }),
    ...scope,
    options: Type.Optional(
      Type.Record(Type.String(), Type.Unknown(), { description: 'Options of the type.' }),
    ),
  },
  { description: 'A processor of an extension.' },
)

export const RetrievalSchema = retrievalSchema(scope)

export const ProcessorSchema = Type.Union([
  MaskingSchema,
  GuardrailSchema,
  RetrievalSchema,
  OtherProcessorSchema,
])

export type MaskingEntry = Static<typeof MaskingSchema>
export type RetrievalEntry = Static<typeof RetrievalSchema>
export type OtherProcessorEntry = Static<typeof OtherProcessorSchema>
