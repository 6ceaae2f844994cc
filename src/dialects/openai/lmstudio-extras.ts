import { type JsonObject, present } from '../../lib/json/read.ts'
import {
  type ChatEvent,
  type ChatResponse,
  type FinishReason,
  isContent,
  type Timings,
  type Usage,
} from '../../sdk/chat.ts'
import type { AnswerContext, ChatStreamWriter, Dialect } from '../../sdk/dialect.ts'

/** What LM Studio's own endpoints report about a model in addition to its response. */
export interface LmStudioModelInfo {
  arch?: string
  quant?: string
  format?: string
  /** In tokens; 0 when unknown. */
  contextLength: number
  /** The router's own version, reported as that of the runtime. */
  version: string
}

/**
 * A surface of the dialect with `stats`, `model_info` and `runtime` in its answers: whole ones, and the finish chunks of
 * streams that the router writes itself. Unknown values are left out. Times are the engine's own where it reports them
 * (Ollama), else measured from the arrival of the request. Source: LM Studio documentation, "REST API v0".
 */
export function withLmStudioExtras(dialect: Dialect, info: LmStudioModelInfo): Dialect {
  const { chat } = dialect
  const members = (response: ChatResponse, context: AnswerContext): JsonObject => ({
    stats: wholeStats(response, context.elapsedMs() / 1000),
    ...aboutModel(info),
  })
  return {
    ...dialect,
    chat: {
      ...chat,
      writeResponse: (response, context) => ({
        ...chat.writeResponse(response, context),
        ...members(response, context),
      }),
      checkAnswer: (body, context) => ({
        ...chat.checkAnswer(body, context),
        members: members(chat.readResponse(body), context),
      }),
      createWriter: (context) => new ExtrasWriter(chat.createWriter(context), context, info),
    },
  }
}

function aboutModel({ arch, quant, format, contextLength, version }: LmStudioModelInfo): JsonObject {
  const context = contextLength > 0 ? contextLength : undefined
  return {
    model_info: present({ arch, quant, format, context_length: context }),
    runtime: { name: 'llm-router', version, supported_formats: format === undefined ? [] : [format] },
  }
}

/** For a whole answer without times only its end is known. */
function wholeStats({ usage, timings, choices }: ChatResponse, elapsed: number): JsonObject {
  const [first] = choices
  return statsOf({
    usage,
    timings,
    firstToken: undefined,
    generation: elapsed,
    reason: first?.finishReason,
    stopped: first?.stopSequence !== undefined,
  })
}

interface Measured {
  usage: Usage | undefined
  timings: Timings | undefined
  /** Seconds, as are all times here. */
  firstToken: number | undefined
  generation: number
  reason: FinishReason | undefined
  /** Whether a stop sequence was met. */
  stopped: boolean
}

function statsOf({ usage, timings, firstToken, generation, reason, stopped }: Measured): JsonObject {
  const { loadNs = 0, promptNs, completionNs } = timings ?? {}
  const seconds = completionNs === undefined ? generation : completionNs / 1e9
  const tokens = usage?.completionTokens
  return present({
    tokens_per_second: tokens === undefined || seconds <= 0 ? undefined : tokens / seconds,
    time_to_first_token: promptNs === undefined ? firstToken : (loadNs + promptNs) / 1e9,
    generation_time: seconds,
    stop_reason: reason && stopReason(reason, stopped),
  })
}

function stopReason(reason: FinishReason, stopped: boolean): string | undefined {
  switch (reason) {
    case 'stop':
      return stopped ? 'stopStringFound' : 'eosFound'
    case 'length':
      return 'maxPredictedTokensReached'
    case 'tool_calls':
      return 'toolCalls'
    case 'content_filter':
      return undefined // LM Studio has no such reason
  }
}

const chunkEnd = '}\n\n'

class ExtrasWriter implements ChatStreamWriter {
  readonly #inner: ChatStreamWriter
  readonly #context: AnswerContext
  readonly #info: LmStudioModelInfo
  /** Seconds since the arrival of the request. */
  #firstContent: number | undefined
  #usage: Usage | undefined
  #timings: Timings | undefined

  constructor(inner: ChatStreamWriter, context: AnswerContext, info: LmStudioModelInfo) {
    this.#inner = inner
    this.#context = context
    this.#info = info
  }

  write(event: ChatEvent): string {
    if (isContent(event)) this.#firstContent ??= this.#context.elapsedMs() / 1000
    if (event.type === 'usage') {
      this.#usage = event.usage
      this.#timings = event.timings
    }
    const text = this.#inner.write(event)
    if (event.type !== 'finish' || !text.endsWith(chunkEnd)) return text
    const extras = JSON.stringify({ stats: this.#stats(event), ...aboutModel(this.#info) })
    return `${text.slice(0, -chunkEnd.length)},${extras.slice(1)}\n\n`
  }

  #stats({ reason, stopSequence }: Extract<ChatEvent, { type: 'finish' }>): JsonObject {
    const now = this.#context.elapsedMs() / 1000
    return statsOf({
      usage: this.#usage,
      timings: this.#timings,
      firstToken: this.#firstContent,
      generation: now - (this.#firstContent ?? now),
      reason,
      stopped: stopSequence !== undefined,
    })
  }
}
