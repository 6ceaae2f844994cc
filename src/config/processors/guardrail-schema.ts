import { type Static, Type } from '@sinclair/typebox'
import { address, scope, strings, yesNo } from './schema-parts.ts'

const GuardrailServiceSchema = Type.Object({
  type: Type.Union(
    [
      Type.Literal('http'),
      Type.Literal('nask_guard'),
      Type.Literal('sojka_guard'),
      Type.Literal('moderations'),
      Type.Literal('model'),
    ],
    {
      description:
        '"http": a service of your own. "nask_guard", "sojka_guard": those of the Python llm-router. "moderations": OpenAI\'s moderations, and what speaks like them. "model": a model of this router that answers as Llama Guard does.',
      allowed: '"http", "nask_guard", "sojka_guard", "moderations" or "model"',
    },
  ),
  url: Type.Optional(
    address('Address of the service; of moderations and of your own with its path. Not of a model.'),
  ),
  model: Type.Optional(Type.String({ description: 'Model of the moderations; or model of this router.' })),
  api_token: Type.Optional(
    Type.String({
      description: `Key for the service, as a bearer token. Prefer \${NAME}, an environment variable.`,
    }),
  ),
})

/** A verdict on requests and responses. */
export const GuardrailSchema = Type.Object(
  {
    type: Type.Literal('guardrail', { description: 'A verdict on requests and responses.' }),
    ...scope,
    on: Type.Optional(
      Type.Union([Type.Literal('request'), Type.Literal('response'), Type.Literal('both')], {
        description: 'What is judged: "request" (the default), "response" or "both".',
        allowed: '"request", "response" or "both"',
      }),
    ),
    words: strings('Unsafe is what holds one of these words or phrases, in any case.'),
    expressions: strings(
      'Unsafe is what matches one of these expressions, in the syntax of RE2. For responses, a match must have an upper bound of at most 400 characters.',
    ),
    service: Type.Optional(GuardrailServiceSchema),
    action: Type.Optional(
      Type.Union([Type.Literal('block'), Type.Literal('flag'), Type.Literal('replace')], {
        description:
          'What becomes of what is unsafe: "block" (the default), "flag", which is logged and counted, or "replace", for words and expressions.',
        allowed: '"block", "flag" or "replace"',
      }),
    ),
    replacement: Type.Optional(
      Type.String({
        description: 'With "replace": stands where a word or a match stood; [removed] unless given.',
      }),
    ),
    sample: Type.Optional(
      Type.Number({
        minimum: 0,
        maximum: 1,
        description:
          'With "flag": the share of requests, with their responses, that are judged; 1 unless given.',
      }),
    ),
    before: Type.Optional(
      Type.Union([Type.Literal('masking'), Type.Literal('unmasking')], {
        description:
          '"masking": it gets requests before they are masked. "unmasking": it gets responses before values are restored. Otherwise it gets requests masked, and responses as the client gets them, unless it is a model or its address is neither loopback nor private.',
        allowed: '"masking" or "unmasking"',
      }),
    ),
    unmasked: yesNo(
      'true: a model, or a service with an address that is neither loopback nor private, may get unmasked contents.',
    ),
  },
  { description: 'Judges requests and responses, and blocks, flags or changes those that are unsafe.' },
)

export type GuardrailEntry = Static<typeof GuardrailSchema>
