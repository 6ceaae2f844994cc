import type { Dialect } from '../../sdk/dialect.ts'
import { createWriter, readResponse, writeResponse } from './completion-answer.ts'
import { missingDefaults, readRequest, writeRequest } from './completion-request.ts'
import { openai } from './index.ts'

/**
 * OpenAI's older completions, as a second surface of its dialect: what a server that has them gets as it is, and what
 * others get as a chat. Source: OpenAI API reference, "Completions (legacy)".
 */
export const openaiCompletion: Dialect = {
  ...openai,
  name: 'openai-completion',
  native: { dialect: 'openai', operation: 'completion' },
  chat: {
    ...openai.chat,
    readRequest,
    writeRequest,
    readResponse,
    writeResponse,
    createWriter,
    missingDefaults,
    answersOf: ({ n, prompt }) => promptsIn(prompt) * (typeof n === 'number' ? n : 1),
  },
}

/** A list of numbers is one prompt. */
function promptsIn(prompt: unknown): number {
  return Array.isArray(prompt) && typeof prompt[0] !== 'number' ? prompt.length : 1
}
