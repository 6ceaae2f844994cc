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

/** Facts about a model that LM Studio's endpoints add to its responses. */
export interface LmStudioModelInfo {
  arch?: string
  quant?: string
  format?: string
  /** In tokens; 0 when unknown. */
  contextLength: number
  /** The router's version, reported as that of the runtime. */
  version: string
}

/**
 * The dialect with `stats`, `model_info` and `runtime` added to whole responses and to the finish chunks of translated
 * streams. Unknown values are omitted. Times are the engine's own if it reports them (Ollama), otherwise measured from the
 * arrival of the request. Source: LM Studio documentation, "REST API v0".
 */
export function withLmStudioExtras(dialect: Dialect, info: LmStudioModelInfo): Dialect {
  const { chat } = dialect
  const extras = (response: ChatResponse, context: AnswerContext): JsonObject => ({
    stats: wholeStats(response, context.elapsedMs() / 1000),
    ...modelMembers(info),
  })
  return {
    ...dialect,
    chat: {
      ...chat,
      writeResponse: (response, context) => ({
        ...chat.writeResponse(response, context),
        ...extras(response, context),
      }),
      checkAnswer: (body, context) => ({
        ...chat.checkAnswer(body, context),
        members: extras(chat.readResponse(body), context),
      }),
      createWriter: (context) => new ExtrasWriter(chat.createWriter(context), context, info),
    },
  }
}

function modelMembers({ arch, quant, format, contextLength, version }: LmStudioModelInfo): JsonObject {
  const context = contextLength > 0 ? contextLength : undefined
  return {
    model_info: present({ arch, quant, format, context_length: context }),
    runtime: { name: 'llm-router', version, supported_formats: format === undefined ? [] : [format] },
  }
}

/** Without the engine's timings, only the total time of a whole response is known. */
function wholeStats({ usage, timings, choices }: ChatResponse, elapsedSeconds: number): JsonObject {
  const [first] = choices
  return statsOf({
    usage,
    timings,
    firstTokenSeconds: undefined,
    generationSeconds: elapsedSeconds,
    reason: first?.finishReason,
    stopped: first?.stopSequence !== undefined,
  })
}

interface Measurements {
  usage: Usage | undefined
  timings: Timings | undefined
  firstTokenSeconds: number | undefined
  generationSeconds: number
  reason: FinishReason | undefined
  /** Whether a stop sequence ended the response. */
  stopped: boolean
}

function statsOf(measured: Measurements): JsonObject {
  const { usage, timings, firstTokenSeconds, generationSeconds, reason, stopped } = measured
  const { loadNs = 0, promptNs, completionNs } = timings ?? {}
  const seconds = completionNs === undefined ? generationSeconds : completionNs / 1e9
  const tokens = usage?.completionTokens
  return present({
    tokens_per_second: tokens === undefined || seconds <= 0 ? undefined : tokens / seconds,
    time_to_first_token: promptNs === undefined ? firstTokenSeconds : (loadNs + promptNs) / 1e9,
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
  /** Since the arrival of the request. */
  #firstContentSeconds: number | undefined
  #usage: Usage | undefined
  #timings: Timings | undefined

  constructor(inner: ChatStreamWriter, context: AnswerContext, info: LmStudioModelInfo) {
    this.#inner = inner
    this.#context = context
    this.#info = info
  }

  write(event: ChatEvent): string {
    if (isContent(event)) this.#firstContentSeconds ??= this.#context.elapsedMs() / 1000
    if (event.type === 'usage') {
      this.#usage = event.usage
      this.#timings = event.timings
    }
    const text = this.#inner.write(event)
    if (event.type !== 'finish' || !text.endsWith(chunkEnd)) return text
    const extras = JSON.stringify({ stats: this.#stats(event), ...modelMembers(this.#info) })
    return `${text.slice(0, -chunkEnd.length)},${extras.slice(1)}\n\n`
  }

  #stats({ reason, stopSequence }: Extract<ChatEvent, { type: 'finish' }>): JsonObject {
    const elapsedSeconds = this.#context.elapsedMs() / 1000
    return statsOf({
      usage: this.#usage,
      timings: this.#timings,
      firstTokenSeconds: this.#firstContentSeconds,
      generationSeconds: elapsedSeconds - (this.#firstContentSeconds ?? elapsedSeconds),
      reason,
      stopped: stopSequence !== undefined,
    })
  }
}
