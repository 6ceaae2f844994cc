import { type Static, Type } from '@sinclair/typebox'

const strings = (description: string) =>
  Type.Optional(Type.Array(Type.String({ minLength: 1 }), { minItems: 1, description }))

/** Intents that `by_size` distinguishes. */
export const intents = ['code', 'math', 'creative', 'general'] as const

export type Intent = (typeof intents)[number]

/** A rule and its conditions, all of which must be met. */
export const AutoRuleSchema = Type.Object(
  {
    model: Type.String({ minLength: 1, description: 'Model for matching requests: one of `models`.' }),
    modalities: Type.Optional(
      Type.Array(Type.Union(['image', 'audio', 'video', 'file'].map((name) => Type.Literal(name))), {
        minItems: 1,
        description: 'The request contains at least one of these.',
        allowed: 'a list of image, audio, video, file',
      }),
    ),
    tools: Type.Optional(Type.Boolean({ description: 'true: the request has tools. false: it has none.' })),
    min_prompt_tokens: Type.Optional(
      Type.Integer({
        minimum: 0,
        description: 'Minimum size of the prompt in tokens, as estimated by the router.',
      }),
    ),
    max_prompt_tokens: Type.Optional(
      Type.Integer({
        minimum: 0,
        description: 'Maximum size of the prompt in tokens, as estimated by the router.',
      }),
    ),
    languages: Type.Optional(
      Type.Array(Type.String({ pattern: '^[a-z]{2}$' }), {
        minItems: 1,
        description: 'The last message is in one of these languages, such as pl.',
        allowed: 'a list of language codes such as "pl"',
      }),
    ),
    clients: strings('The client has one of these ids.'),
    groups: strings('The client belongs to one of these groups.'),
    words: strings('The last message contains one of these words or phrases, regardless of case.'),
  },
  { description: 'A rule of `auto_model`, which matches if all of its conditions are met.' },
)

const IntentWordsSchema = Type.Object(
  Object.fromEntries(
    intents.map((intent) => [intent, strings(`Additional words and phrases that indicate ${intent}.`)]),
  ),
)

export const AutoModelSchema = Type.Object(
  {
    models: Type.Array(Type.String({ minLength: 1 }), {
      minItems: 1,
      description:
        'Models that `auto` chooses from. The order matters: if nothing else decides, the first one that can answer the request is used; if the chosen one fails, the others are tried in order.',
    }),
    default: Type.Optional(
      Type.String({
        minLength: 1,
        description: 'One of `models`, used if nothing else decides. Default: the first one.',
      }),
    ),
    rules: Type.Optional(
      Type.Array(AutoRuleSchema, {
        description: 'The first matching rule whose model can answer the request decides.',
      }),
    ),
    embedding_model: Type.Optional(
      Type.String({ minLength: 1, description: 'Model that computes the embeddings for `examples`.' }),
    ),
    examples: Type.Optional(
      Type.Record(Type.String(), Type.Array(Type.String({ minLength: 1 }), { minItems: 1 }), {
        description:
          'Example prompts by model. If no rule decides, the model of the most similar example is chosen. Requires `embedding_model`.',
      }),
    ),
    min_similarity: Type.Optional(
      Type.Number({
        minimum: -1,
        maximum: 1,
        description: 'Minimum cosine similarity for an example to decide. Default: 0.3.',
      }),
    ),
    by_size: Type.Optional(
      Type.Object(
        {
          thresholds: Type.Optional(
            Type.Array(Type.Integer({ minimum: 1 }), {
              minItems: 2,
              maxItems: 2,
              description: 'Sizes in tokens from which a prompt is medium and large. Default: [25, 150].',
              allowed: 'a list of two numbers of tokens',
            }),
          ),
          words: Type.Optional(IntentWordsSchema),
        },
        {
          description:
            'If nothing else decides, chooses by the size and the words of the last message: small messages get the first model, medium ones the middle model, large ones the last. Code and mathematics get at least the middle model, stories and small talk the first.',
        },
      ),
    ),
    sticky: Type.Optional(
      Type.Boolean({
        description:
          'false: a model is chosen for each request of a conversation. Default: true, it is chosen once.',
      }),
    ),
  },
  { description: 'The model `auto`: one of several models, chosen once per conversation.' },
)

export type AutoRule = Static<typeof AutoRuleSchema>
export type AutoModelEntry = Static<typeof AutoModelSchema>
