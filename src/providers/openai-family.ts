import type { Operation } from '../sdk/operation.ts'

/** Paths of OpenAI's operations, also used by compatible servers. Source: OpenAI API reference. */
export const openaiPaths = {
  chat: '/v1/chat/completions',
  completion: '/v1/completions',
  responses: '/v1/responses',
  embedding: '/v1/embeddings',
  transcription: '/v1/audio/transcriptions',
  speech: '/v1/audio/speech',
  image: '/v1/images/generations',
  image_edit: '/v1/images/edits',
  audio_translation: '/v1/audio/translations',
  moderation: '/v1/moderations',
  responses_count: '/v1/responses/input_tokens',
} as const satisfies Partial<Record<Operation, string>>

/** Returns a `path` function for a provider type with fixed paths. */
export function pathIn(
  paths: Readonly<Partial<Record<Operation, string>>>,
): (operation: Operation) => string | undefined {
  return (operation) => paths[operation]
}

/** Returns the bearer `Authorization` header (RFC 6750); no header without a key. */
export function bearerHeaders(token: string | undefined): Record<string, string> {
  return token ? { authorization: `Bearer ${token}` } : {}
}
