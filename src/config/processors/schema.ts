import { type Static, Type } from '@sinclair/typebox'
import { retrievalSchema } from './retrieval-schema.ts'

export const strings = (description: string) =>
  Type.Optional(Type.Array(Type.String({ minLength: 1 }), { description }))
export const yesNo = (description: string) => Type.Optional(Type.Boolean({ description }))

/** Kinds of values: short enough for the longest spelling of a pseudonym that is recognised. */
const kindPattern = '^[A-Z]{2,7}$'
const byKind = <Value extends Parameters<typeof Type.Record>[1]>(value: Value, description: string) =>
  Type.Optional(
    Type.Record(Type.String({ pattern: kindPattern }), value, {
      description,
      additionalProperties: false,
      allowed: 'an object whose names are kinds: 2 to 7 capital letters',
    }),
  )

/** Whom a processor is for, and what happens when it fails. */
export const scope = {
  name: Type.Optional(
    Type.String({
      pattern: '^[a-z0-9][a-z0-9_-]{0,31}$',
      description: 'Name in logs and metrics, unique in the file; its type if absent.',
      allowed: 'up to 32 lower-case letters, digits, hyphens and underscores',
    }),
  ),
  models: strings(
    'Models that it applies to; absent: all. It also applies to a request whose fallback models name one.',
  ),
  groups: strings('Groups of clients that it applies to; absent: all clients.'),
  clients: strings('Ids of clients that it applies to; absent: all clients.'),
  failure: Type.Optional(
    Type.Union([Type.Literal('closed'), Type.Literal('open')], {
      description:
        '"closed": a request that it cannot process is refused. "open": it passes unprocessed, which is logged and counted. Default: closed.',
      allowed: '"closed" or "open"',
    }),
  ),
  timeout: Type.Optional(
    Type.Number({
      exclusiveMinimum: 0,
      maximum: 600,
      description: 'Longest time in seconds for one request; 5 unless given.',
      allowed: 'a number of seconds over 0, up to 600',
    }),
  ),
}

const address = (description: string) =>
  Type.String({ pattern: '^https?://', description, allowed: 'an http:// or https:// address' })

const MaskingServiceSchema = Type.Object({
  type: Type.Union([Type.Literal('presidio'), Type.Literal('pii_masker')], {
    description:
      '"presidio": Microsoft Presidio\'s analyzer. "pii_masker": the masker service of the Python llm-router.',
    allowed: '"presidio" or "pii_masker"',
  }),
  url: address('Address of the service.'),
  language: Type.Optional(
    Type.String({ description: 'Language for Presidio, such as pl; en unless given.' }),
  ),
  min_score: Type.Optional(
    Type.Number({
      minimum: 0,
      maximum: 1,
      description: 'Least score of a finding of Presidio; 0.5 unless given.',
    }),
  ),
  entities: strings('Entities that Presidio looks for; absent: all that it knows.'),
})

/** Pseudonyms instead of personal data and secrets. */
export const MaskingSchema = Type.Object(
  {
    type: Type.Literal('masking', { description: 'Pseudonyms instead of personal data and secrets.' }),
    ...scope,
    kinds: byKind(Type.Boolean(), 'Built-in kinds by name; false turns one off. All are on unless given.'),
    words: byKind(
      Type.Array(Type.String({ minLength: 1 })),
      'Lists of words and phrases, by the kind of their pseudonyms.',
    ),
    expressions: byKind(
      Type.Union([Type.String({ minLength: 1 }), Type.Array(Type.String({ minLength: 1 }))], {
        allowed: 'an expression or a list of them',
      }),
      'Regular expressions in the syntax of RE2, by the kind of their pseudonyms.',
    ),
    styles: byKind(
      Type.Union([Type.Literal('word'), Type.Literal('shaped')], { allowed: '"word" or "shaped"' }),
      '"shaped": pseudonyms of this kind keep the form of an address or number; for EMAIL, URL, IP and PHONE. Used anyway where a schema of the request asks for such a format.',
    ),
    phone_countries: Type.Optional(
      Type.Array(Type.String({ pattern: '^[A-Z]{2}$' }), {
        description:
          'Countries whose phone numbers are found without their prefix, the first one being home; ["PL", "US", "GB"] unless given.',
        allowed: 'a list of country codes such as "PL"',
      }),
    ),
    system: yesNo('false: system prompts stay as they are.'),
    media: Type.Optional(
      Type.Union([Type.Literal('refuse'), Type.Literal('pass')], {
        description: 'Images, audio and files, which are not read: "refuse" (the default) or "pass".',
        allowed: '"refuse" or "pass"',
      }),
    ),
    unmask: yesNo('false: answers keep the pseudonyms.'),
    services: Type.Optional(
      Type.Array(MaskingServiceSchema, {
        description: 'Services that find more values, asked one after the other.',
      }),
    ),
  },
  { description: 'Masks personal data and secrets on the way to models, and puts them back into answers.' },
)

const GuardrailServiceSchema = Type.Object({
  type: Type.Union(
    [
      Type.Literal('http'),
      Type.Literal('nask_guard'),
      Type.Literal('sojka_guard'),
      Type.Literal('moderations'),
    ],
    {
      description:
        '"http": a service of your own. "nask_guard", "sojka_guard": those of the Python llm-router. "moderations": OpenAI\'s moderations, and what speaks like them.',
      allowed: '"http", "nask_guard", "sojka_guard" or "moderations"',
    },
  ),
  url: address('Address of the service; of moderations and of your own with its path.'),
  model: Type.Optional(Type.String({ description: 'Model of the moderations.' })),
})

/** A verdict on requests. */
export const GuardrailSchema = Type.Object(
  {
    type: Type.Literal('guardrail', { description: 'A verdict on requests.' }),
    ...scope,
    words: strings('A request is unsafe that holds one of these words or phrases, in any case.'),
    expressions: strings('A request is unsafe that matches one of these expressions, in the syntax of RE2.'),
    service: Type.Optional(GuardrailServiceSchema),
    action: Type.Optional(
      Type.Union([Type.Literal('block'), Type.Literal('flag')], {
        description:
          'What becomes of an unsafe request: "block" (the default), or "flag", which is logged and counted.',
        allowed: '"block" or "flag"',
      }),
    ),
    sample: Type.Optional(
      Type.Number({
        minimum: 0,
        maximum: 1,
        description: 'With "flag": the share of requests that are judged; 1 unless given.',
      }),
    ),
    before: Type.Optional(
      Type.Literal('masking', {
        description:
          '"masking": it gets contents before they are masked; for services on loopback and private addresses. Otherwise it gets them masked.',
        allowed: '"masking"',
      }),
    ),
  },
  { description: 'Judges requests, and blocks or flags those that are unsafe.' },
)

/** A processor of an extension; its type checks its options. */
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
export type GuardrailEntry = Static<typeof GuardrailSchema>
export type RetrievalEntry = Static<typeof RetrievalSchema>
export type OtherProcessorEntry = Static<typeof OtherProcessorSchema>
