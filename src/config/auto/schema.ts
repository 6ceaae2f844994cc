import { type Static, Type } from '@sinclair/typebox'

const strings = (description: string) =>
  Type.Optional(Type.Array(Type.String({ minLength: 1 }), { minItems: 1, description }))

/** What the built-in rules of `by_size` know apart. */
export const intents = ['code', 'math', 'creative', 'general'] as const

export type Intent = (typeof intents)[number]

/** When a rule applies: all that it names must be so. */
export const AutoRuleSchema = Type.Object(
  {
    model: Type.String({ minLength: 1, description: 'The model for such requests: one of `models`.' }),
    modalities: Type.Optional(
      Type.Array(Type.Union(['image', 'audio', 'video', 'file'].map((name) => Type.Literal(name))), {
        minItems: 1,
        description: 'The request has one of these.',
        allowed: 'a list of image, audio, video, file',
      }),
    ),
    tools: Type.Optional(Type.Boolean({ description: 'true: the request has tools. false: it has none.' })),
    min_prompt_tokens: Type.Optional(
      Type.Integer({ minimum: 0, description: 'The prompt has at least so many tokens, as estimated.' }),
    ),
    max_prompt_tokens: Type.Optional(
      Type.Integer({ minimum: 0, description: 'The prompt has at most so many tokens, as estimated.' }),
    ),
    languages: Type.Optional(
      Type.Array(Type.String({ pattern: '^[a-z]{2}$' }), {
        minItems: 1,
        description: 'The text is in one of these languages, such as pl.',
        allowed: 'a list of language codes such as "pl"',
      }),
    ),
    clients: strings('The client has one of these ids.'),
    groups: strings('The client is in one of these groups.'),
    words: strings('The text has one of these words or phrases, in any case.'),
  },
  { description: 'A rule of `auto_model`.' },
)

const IntentWordsSchema = Type.Object(
  Object.fromEntries(intents.map((intent) => [intent, strings(`Further words and phrases of ${intent}.`)])),
)

export const AutoModelSchema = Type.Object(
  {
    models: Type.Array(Type.String({ minLength: 1 }), {
      minItems: 1,
      description:
        'Models that `auto` chooses from. In this order they stand in for each other: the first that can answer the request is used if nothing else decides, and the next ones if the chosen one fails.',
    }),
    default: Type.Optional(
      Type.String({
        minLength: 1,
        description: 'One of `models`, which is used where nothing else decides; the first one unless given.',
      }),
    ),
    rules: Type.Optional(
      Type.Array(AutoRuleSchema, {
        description: 'The first rule decides that applies and whose model can answer.',
      }),
    ),
    embedding_model: Type.Optional(
      Type.String({ minLength: 1, description: 'Model that makes the embeddings for `examples`.' }),
    ),
    examples: Type.Optional(
      Type.Record(Type.String(), Type.Array(Type.String({ minLength: 1 }), { minItems: 1 }), {
        description:
          'Examples of prompts by model; where no rule decides, the model of the nearest example is chosen. Needs `embedding_model`.',
      }),
    ),
    min_similarity: Type.Optional(
      Type.Number({
        minimum: -1,
        maximum: 1,
        description: 'Least similarity (cosine) of an example that decides; 0.3 unless given.',
      }),
    ),
    by_size: Type.Optional(
      Type.Object(
        {
          thresholds: Type.Optional(
            Type.Array(Type.Integer({ minimum: 1 }), {
              minItems: 2,
              maxItems: 2,
              description:
                'Sizes in tokens from which a prompt is of middle size, and large; [25, 150] unless given.',
              allowed: 'a list of two numbers of tokens',
            }),
          ),
          words: Type.Optional(IntentWordsSchema),
        },
        {
          description:
            'Where nothing else decides, chooses by the size of the last message and by what its words ask for: small prompts get the first model, middle ones the one in the middle, large ones the last; code and mathematics at least the one in the middle, stories and small talk the first.',
        },
      ),
    ),
    sticky: Type.Optional(
      Type.Boolean({ description: 'false: each request of a conversation is decided anew. Default: true.' }),
    ),
  },
  { description: 'The model `auto`, which chooses one of several for each conversation.' },
)

export type AutoRule = Static<typeof AutoRuleSchema>
export type AutoModelEntry = Static<typeof AutoModelSchema>
