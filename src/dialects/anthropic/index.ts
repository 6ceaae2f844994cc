import type { ChatCodec, Dialect } from '../../sdk/dialect.ts'
import { streamEdits } from '../shared/stream-filter.ts'
import { anthropicContents } from './contents/index.ts'
import { errorStatus, writeError, writeStreamError } from './errors.ts'
import { createPassthrough } from './passthrough.ts'
import { billingEdits, billingNotice } from './request/billing-header.ts'
import { readRequest } from './request/read.ts'
import { missingDefaults } from './request/sampling.ts'
import { unsignedNotice, unsignedThinkingEdits } from './request/unsigned-thinking.ts'
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
  readResponse: (body) => readResponse(body),
  writeResponse,
  createReader: () => createReader(),
  createWriter,
  createPassthrough,
  passthroughEdits(request) {
    const billing = request.isVendor ? [] : billingEdits(request)
    const unsigned = unsignedThinkingEdits(request)
    const edits = [...billing, ...unsigned, ...streamEdits(request, false)]
    const notices = [
      ...(billing.length > 0 ? [billingNotice] : []),
      ...(unsigned.length > 0 ? [unsignedNotice] : []),
    ]
    // Every stream has token counts, so they need not be requested.
    return { edits, stripUsage: false, ...(notices.length > 0 ? { notices } : {}) }
  },
  missingDefaults,
  promptMembers: ['tools', 'system', 'messages'],
}

/** Anthropic's Messages API. Source of the formats: Anthropic API reference, "Create a Message" and "Streaming Messages". */
export const anthropic: Dialect = {
  name: 'anthropic',
  contents: anthropicContents,
  streamMediaType: 'text/event-stream',
  // Source: Anthropic API reference, "Streaming Messages", ping events.
  ping: 'event: ping\ndata: {"type": "ping"}\n\n',
  chat,
  // Source: Anthropic API reference, "Count tokens in a Message".
  count: {
    member: 'input_tokens',
    answerMembers: [
      'max_tokens',
      'stream',
      'model_name',
      'metadata',
      'service_tier',
      'stop_sequences',
      'temperature',
      'top_p',
      'top_k',
    ],
  },
  writeError,
  errorStatus,
  writeStreamError,
}
