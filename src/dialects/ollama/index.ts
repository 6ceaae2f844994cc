import type { ChatCodec, Dialect } from '../../sdk/dialect.ts'
import { needsPayment } from '../../sdk/errors.ts'
import { streamEdits } from '../shared/stream-filter.ts'
import { randomCallId } from '../shared/tools/call-ids.ts'
import { ollamaContents } from './contents.ts'
import { fitContext } from './context.ts'
import { embedding } from './embedding.ts'
import { writeError, writeStreamError } from './errors.ts'
import { createPassthrough } from './passthrough.ts'
import { readRequest } from './request/read.ts'
import { missingDefaults } from './request/sampling.ts'
import { writeRequest } from './request/write.ts'
import { readUsage } from './response/fields-read.ts'
import { checkAnswer, readResponse } from './response/read.ts'
import { writeResponse } from './response/write.ts'
import { createReader } from './stream/read.ts'
import { createWriter } from './stream/write.ts'

/**
 * By default, Ollama silently removes the beginning of a prompt that exceeds the context, and shifts the prompt out of a
 * context that the answer fills. Clients of other dialects expect an error and `length`; Ollama's own clients set these
 * members themselves. Source: Ollama API reference, "Generate a chat completion", `truncate` and `shift`.
 */
const translatedMembers = { truncate: false, shift: false }

const chat: ChatCodec = {
  streamsByDefault: true,
  readRequest,
  writeRequest,
  checkAnswer: (body) => {
    checkAnswer(body)
    return { usage: readUsage(body) }
  },
  readResponse: (body) => readResponse(body, randomCallId),
  writeResponse,
  createReader: () => createReader(randomCallId),
  createWriter,
  createPassthrough,
  passthroughEdits: (request) => ({ edits: streamEdits(request, true), stripUsage: false }),
  missingDefaults,
  fitContext,
  translatedMembers,
  promptMembers: ['tools', 'system', 'messages'],
}

/** Ollama's own API. Source of the formats: Ollama API reference, "Generate a chat completion". */
export const ollama: Dialect = {
  name: 'ollama',
  streamMediaType: 'application/x-ndjson',
  completions: 'ollama-generate',
  chat,
  embedding,
  contents: ollamaContents,
  writeError,
  errorStatus: (error) => (needsPayment(error) ? 402 : error.status),
  writeStreamError,
}
