import { keepAliveComment as comment } from '../../lib/bytes/sse.ts'
import { filledTextOf } from '../../lib/json/read.ts'
import { bodyAssertion } from '../../sdk/checks/body.ts'
import type { Dialect } from '../../sdk/dialect.ts'
import { writeOpenaiError } from '../shared/openai-error.ts'
import { streamEdits } from '../shared/stream-filter.ts'
import { responsesContents } from './contents/index.ts'
import { writeStreamError } from './errors.ts'
import { createPassthrough } from './passthrough.ts'
import { readRequest } from './request/read.ts'
import { missingDefaults } from './request/sampling.ts'
import { ResponsesBody } from './request/schema.ts'
import { writeRequest } from './request/write.ts'
import { checkAnswer, readResponse, readUsage } from './response/read.ts'
import { writeResponse } from './response/write.ts'
import { createReader } from './stream/read.ts'
import { createWriter } from './stream/write.ts'

/** OpenAI's Responses API. Source: OpenAI API reference, "Responses". */
export const responses: Dialect = {
  name: 'responses',
  native: { dialect: 'openai', operation: 'responses' },
  contents: responsesContents,
  streamMediaType: 'text/event-stream',
  ping: comment,
  chat: {
    checkRequest: bodyAssertion(ResponsesBody),
    readRequest: (body, stream) => readRequest(body, stream),
    writeRequest,
    checkAnswer: (body) => {
      checkAnswer(body)
      return { usage: readUsage(body), answerId: filledTextOf(body.id) }
    },
    readResponse: (body) => readResponse(body),
    writeResponse,
    createReader: () => createReader(),
    createWriter: (context) => createWriter(context),
    createPassthrough,
    // Every stream has token counts, so they need not be requested.
    passthroughEdits: (request) => ({ edits: streamEdits(request, false), stripUsage: false }),
    streamsByDefault: false,
    promptMembers: ['tools', 'instructions', 'input'],
    missingDefaults,
  },
  writeError: writeOpenaiError,
  errorStatus: (error) => error.status,
  writeStreamError,
}
