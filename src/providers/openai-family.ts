import type { Operation } from '../sdk/provider.ts'

/** Where OpenAI has its operations, and servers that follow it. Source: OpenAI API reference. */
export const openaiPaths = {
  chat: '/v1/chat/completions',
  completion: '/v1/completions',
  responses: '/v1/responses',
  embedding: '/v1/embeddings',
  transcription: '/v1/audio/transcriptions',
  speech: '/v1/audio/speech',
  image: '/v1/images/generations',
} as const satisfies Partial<Record<Operation, string>>

/** The look-up that a provider type needs, from a table. */
export function pathIn(
  paths: Readonly<Partial<Record<Operation, string>>>,
): (operation: Operation) => string | undefined {
  return (operation) => paths[operation]
}

/** The `Authorization` header of RFC 6750 that every server of this family reads; none when there is no key. */
export function bearerHeaders(token: string | undefined): Record<string, string> {
  return token ? { authorization: `Bearer ${token}` } : {}
}
