import type { Dialect } from '../../sdk/dialect.ts'
import { createWriter, readResponse, writeResponse } from './generate-answer.ts'
import { readRequest, writeRequest } from './generate-request.ts'
import { ollama } from './index.ts'

/**
 * Ollama's generate, as a second surface of its dialect: an Ollama server gets it as it is, others get a chat, or where
 * they must continue a text as it stands, a completion. Source: Ollama API reference, "Generate a completion".
 */
export const ollamaGenerate: Dialect = {
  ...ollama,
  name: 'ollama-generate',
  native: { dialect: 'ollama', operation: 'completion' },
  chat: { ...ollama.chat, readRequest, writeRequest, readResponse, writeResponse, createWriter },
}
