import { type TProperties, Type } from '@sinclair/typebox'
import { apiToken } from './schema-parts.ts'

const RetrievalServiceSchema = Type.Object({
  type: Type.Union([Type.Literal('http'), Type.Literal('vector_store')], {
    description:
      '"http": a custom search service. "vector_store": an OpenAI vector store or a compatible service.',
    allowed: '"http" or "vector_store"',
  }),
  url: Type.String({
    pattern: '^https?://',
    description:
      'URL of the search service; for "vector_store" with path, such as https://api.openai.com/v1/vector_stores/vs_1/search.',
    allowed: 'an http:// or https:// address',
  }),
  api_token: apiToken,
  token: Type.Optional(Type.String({ description: 'Earlier name of api_token.', writeOnly: true })),
  unmasked: Type.Optional(
    Type.Boolean({
      description:
        'true: a service outside the local network gets unmasked queries. By default, it gets masked queries if masking applies to the request.',
    }),
  ),
})

/** Retrieval from an index or a search service. `scope`: fields of all processors. */
export const retrievalSchema = <Scope extends TProperties>(scope: Scope) =>
  Type.Object(
    {
      type: Type.Literal('retrieval', { description: 'Retrieval: adds passages from documents to chats.' }),
      ...scope,
      groups: Type.Optional(
        Type.Array(Type.String({ minLength: 1 }), {
          description: 'Groups of clients that may use it. Without `groups` and `clients`, no client may.',
        }),
      ),
      clients: Type.Optional(
        Type.Array(Type.String({ minLength: 1 }), {
          description: 'Ids of clients that may use it; "*" allows all, also without client keys.',
        }),
      ),
      index: Type.Optional(
        Type.String({
          pattern: '^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$',
          description: 'Name of the index to search, created by `llm-router index`.',
          allowed: 'the name of an index: up to 64 letters, digits, dots, hyphens and underscores',
        }),
      ),
      embedding_model: Type.Optional(
        Type.String({
          minLength: 1,
          description: 'Model that created the embeddings of the index; required with `index`.',
        }),
      ),
      service: Type.Optional(RetrievalServiceSchema),
      limit: Type.Optional(
        Type.Integer({
          minimum: 1,
          maximum: 50,
          description: 'Maximum number of passages per request. Default: 5.',
        }),
      ),
      max_tokens: Type.Optional(
        Type.Integer({
          minimum: 50,
          maximum: 1_000_000,
          description:
            'Maximum number of tokens of all passages per request, as estimated by the router. Default: 2,000.',
        }),
      ),
      min_score: Type.Optional(
        Type.Number({
          description:
            'Passages with a lower score are omitted. Scores of an index are similarities from -1 to 1.',
        }),
      ),
    },
    { description: 'Searches documents for passages, and adds them to the last user turn.' },
  )
