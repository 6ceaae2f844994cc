import { type Static, Type } from '@sinclair/typebox'
import { address, apiToken, scope, strings, yesNo } from './schema-parts.ts'

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
        '"http": a custom service. "nask_guard", "sojka_guard": the services of the Python llm-router. "moderations": OpenAI\'s moderations API or a compatible one. "model": a model of this router that responds in the format of Llama Guard.',
      allowed: '"http", "nask_guard", "sojka_guard", "moderations" or "model"',
    },
  ),
  url: Type.Optional(address('URL of the service; with path for "http" and "moderations". Not for "model".')),
  model: Type.Optional(
    Type.String({
      description: 'With "moderations": model for the moderations API. With "model": model of this router.',
    }),
  ),
  api_token: apiToken,
})

/** A guardrail: judges requests and responses. */
export const GuardrailSchema = Type.Object(
  {
    type: Type.Literal('guardrail', { description: 'Guardrail: judges requests and responses.' }),
    ...scope,
    on: Type.Optional(
      Type.Union([Type.Literal('request'), Type.Literal('response'), Type.Literal('both')], {
        description: 'What is judged: "request" (default), "response" or "both".',
        allowed: '"request", "response" or "both"',
      }),
    ),
    words: strings('Content with one of these words or phrases is unsafe, regardless of case.'),
    expressions: strings(
      'Content that matches one of these regular expressions (RE2 syntax) is unsafe. For responses, the maximum length of a match must be at most 400 characters.',
    ),
    service: Type.Optional(GuardrailServiceSchema),
    action: Type.Optional(
      Type.Union([Type.Literal('block'), Type.Literal('flag'), Type.Literal('replace')], {
        description:
          'What happens to unsafe content: "block" (default); "flag", which only logs and counts it; "replace", for words and expressions.',
        allowed: '"block", "flag" or "replace"',
      }),
    ),
    replacement: Type.Optional(
      Type.String({
        description: 'With "replace": text that replaces a word or match. Default: [removed].',
      }),
    ),
    sample: Type.Optional(
      Type.Number({
        minimum: 0,
        maximum: 1,
        description: 'With "flag": share of requests, with their responses, that is judged. Default: 1.',
      }),
    ),
    before: Type.Optional(
      Type.Union([Type.Literal('masking'), Type.Literal('unmasking')], {
        description:
          '"masking": judges requests before they are masked. "unmasking": judges responses before values are restored. By default, it judges masked requests, and responses as the client gets them; a model, or a service whose address is neither loopback nor private, judges responses before values are restored.',
        allowed: '"masking" or "unmasking"',
      }),
    ),
    unmasked: yesNo(
      'true: permits unmasked content for a model, or for a service whose address is neither loopback nor private.',
    ),
  },
  { description: 'Judges requests and responses, and blocks, flags or changes those that are unsafe.' },
)

export type GuardrailEntry = Static<typeof GuardrailSchema>
