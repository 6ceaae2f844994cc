import { keepAliveComment } from '../../lib/bytes/sse.ts'
import type { ChatCodec, Dialect } from '../../sdk/dialect.ts'
import { geminiContents } from './contents/index.ts'
import { count } from './count.ts'
import { embedding } from './embedding.ts'
import { writeError, writeStreamError } from './errors.ts'
import { features } from './members.ts'
import { createPassthrough } from './passthrough.ts'
import { readRequest } from './request/read.ts'
import { missingDefaults } from './request/sampling.ts'
import { writeRequest } from './request/write.ts'
import { readUsage } from './response/fields-read.ts'
import { checkAnswer, readResponse } from './response/read.ts'
import { writeResponse } from './response/write.ts'
import { createReader } from './stream/read.ts'
import { createWriter } from './stream/write.ts'

const chat: ChatCodec = {
  streamsByDefault: false,
  readRequest,
  writeRequest,
  checkAnswer: (body) => {
    checkAnswer(body)
    return { usage: readUsage(body) }
  },
  readResponse,
  writeResponse,
  createReader,
  createWriter: (context) => createWriter(context),
  createPassthrough,
  // The path determines whether to stream, and every stream has token counts.
  passthroughEdits: () => ({ edits: [], stripUsage: false }),
  missingDefaults,
  promptMembers: ['tools', 'systemInstruction', 'system_instruction', 'contents'],
  toolMembers: ['toolConfig', 'tool_config'],
  features,
}

/** Google's Gemini API: `generateContent` and related methods. Source of the formats: Gemini API reference. */
export const gemini: Dialect = {
  name: 'gemini',
  streamMediaType: 'text/event-stream',
  ping: keepAliveComment,
  chat,
  count,
  embedding,
  contents: geminiContents,
  writeError,
  errorStatus: (error) => error.status,
  writeStreamError,
}
