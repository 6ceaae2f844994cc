import { keepAliveComment as comment } from '../../lib/bytes/sse.ts'
import { bodyAssertion } from '../../sdk/checks/body.ts'
import type { Dialect } from '../../sdk/dialect.ts'
import { writeOpenaiError } from '../shared/openai-error.ts'
import { openaiContents } from './contents/index.ts'
import { embedding } from './embedding.ts'
import { createPassthrough, passthroughEdits } from './passthrough.ts'
import { readRequest } from './request/read.ts'
import { missingDefaults } from './request/sampling.ts'
import { OpenaiChatBody } from './request/schema.ts'
import { writeRequest } from './request/write.ts'
import { readUsage } from './response/fields-read.ts'
import { checkAnswer, readResponse } from './response/read.ts'
import { writeResponse } from './response/write.ts'
import { wholeAsStream } from './stream/collect.ts'
import { createReader } from './stream/read.ts'
import { createWriter, writeStreamError } from './stream/write.ts'

/** OpenAI's chat completions, the dialect of OpenAI, vLLM, LM Studio and many other servers. */
export const openai: Dialect = {
  name: 'openai',
  streamMediaType: 'text/event-stream',
  ping: comment,
  completions: 'openai-completion',
  chat: {
    checkRequest: bodyAssertion(OpenaiChatBody),
    readRequest,
    writeRequest,
    checkAnswer: (body) => {
      checkAnswer(body)
      return { usage: readUsage(body) }
    },
    readResponse: (body) => readResponse(body),
    writeResponse,
    createReader: () => createReader(),
    createWriter,
    createPassthrough,
    passthroughEdits,
    streamsByDefault: false,
    missingDefaults,
    wholeAsStream,
    promptMembers: ['tools', 'functions', 'messages'],
  },
  embedding,
  contents: openaiContents,
  writeError: writeOpenaiError,
  errorStatus: (error) => error.status,
  writeStreamError: (error, options) => writeStreamError(error, options.debug),
}
