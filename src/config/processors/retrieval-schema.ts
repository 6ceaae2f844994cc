import { type TProperties, Type } from '@sinclair/typebox'

const RetrievalServiceSchema = Type.Object({
  type: Type.Union([Type.Literal('http'), Type.Literal('vector_store')], {
    description:
      '"http": a search of your own. "vector_store": a search in an OpenAI vector store, and in what speaks like it.',
    allowed: '"http" or "vector_store"',
  }),
  url: Type.String({
    pattern: '^https?://',
    description:
      'Address of the search; for "vector_store" with its path, such as https://api.openai.com/v1/vector_stores/vs_1/search.',
    allowed: 'an http:// or https:// address',
  }),
  token: Type.Optional(
    Type.String({
      description: `Key for the search, sent as a bearer token. Prefer \${NAME}, an environment variable.`,
      writeOnly: true,
    }),
  ),
  unmasked: Type.Optional(
    Type.Boolean({
      description:
        'true: a search outside the local network gets questions as they are. Otherwise it gets them masked where masking applies.',
    }),
  ),
})

/** Passages for chats, from an index or a search. `scope`: the members that all processors have. */
export const retrievalSchema = <Scope extends TProperties>(scope: Scope) =>
  Type.Object(
    {
      type: Type.Literal('retrieval', { description: 'Adds passages from documents to chats.' }),
      ...scope,
      groups: Type.Optional(
        Type.Array(Type.String({ minLength: 1 }), {
          description: 'Groups of clients that may use it. Without groups and clients nobody may.',
        }),
      ),
      clients: Type.Optional(
        Type.Array(Type.String({ minLength: 1 }), {
          description: 'Ids of clients that may use it; "*": all, also without client keys.',
        }),
      ),
      index: Type.Optional(
        Type.String({
          pattern: '^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$',
          description: 'Index to search, as `llm-router index` names it.',
          allowed: 'the name of an index: up to 64 letters, digits, dots, hyphens and underscores',
        }),
      ),
      embedding_model: Type.Optional(
        Type.String({
          minLength: 1,
          description: 'Model that the index was made with; needed with `index`.',
        }),
      ),
      service: Type.Optional(RetrievalServiceSchema),
      limit: Type.Optional(
        Type.Integer({
          minimum: 1,
          maximum: 50,
          description: 'Most passages for a request; 5 unless given.',
        }),
      ),
      max_tokens: Type.Optional(
        Type.Integer({
          minimum: 50,
          maximum: 1_000_000,
          description: 'Most tokens of all passages for a request, as estimated; 2,000 unless given.',
        }),
      ),
      min_score: Type.Optional(
        Type.Number({
          description:
            'Passages with a lower score are left out. In an index the score is a similarity of -1 to 1.',
        }),
      ),
    },
    { description: 'Finds passages in documents, and adds them to the last turn of the user.' },
  )
