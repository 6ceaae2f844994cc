import type { ChatEvent, Citation, FinishReason, TokenLogprob, Usage } from '../../../sdk/chat.ts'
import type { AnswerContext, ChatStreamWriter } from '../../../sdk/dialect.ts'
import type { RouterError } from '../../../sdk/errors.ts'
import { citationsWithUrl, dropFile } from '../../shared/dropped-output.ts'
import { describeForOpenai } from '../../shared/openai-error.ts'
import { writeSignedId } from '../../shared/signatures.ts'
import { customText } from '../../shared/tools/custom-tools.ts'
import {
  type AnswerHead,
  annotation,
  answerId,
  type ToolCallFormat,
  toolCallFormatOf,
  writeLogprobs,
  writeUsage,
} from '../response/write.ts'

/** Writes the chunks of a streamed answer. Source: OpenAI API reference, "The chat completion chunk object". */
export function createWriter(context: AnswerContext): ChatStreamWriter {
  return new StreamWriter(context)
}

interface WrittenChoice {
  calledTools: boolean
  /** Calls with a fragment of arguments. */
  withArguments: Set<number>
  /** Arguments of calls of custom tools so far; their text is sent when it is complete. */
  custom: Map<number, string>
  /** Length of the text so far. */
  length: number
}

class StreamWriter implements ChatStreamWriter {
  readonly #context: AnswerContext
  readonly #choices = new Map<number, WrittenChoice>()
  /** The beginning that all chunks of the answer share. */
  #head: string
  /** A client that asked for usage gets the member in every chunk. */
  readonly #noUsage: ',"usage":null' | ''
  #usage: Usage | undefined
  /** Set by the first call. */
  #form: ToolCallFormat | undefined
  #over = false

  constructor(context: AnswerContext) {
    this.#context = context
    this.#head = headOf(context, {})
    this.#noUsage = context.includeUsage ? ',"usage":null' : ''
  }

  write(event: ChatEvent): string {
    if (this.#over) return ''
    switch (event.type) {
      case 'start':
        this.#head = headOf(this.#context, event)
        return ''
      case 'text-delta':
        return this.#text(event.choice, event.text, event.logprobs)
      case 'citation':
        return this.#citation(event.choice, event.citation)
      case 'file':
        dropFile(this.#context, event.file)
        return ''
      case 'reasoning-delta': {
        const text = JSON.stringify(event.text)
        return this.#delta(event.choice, `{"reasoning_content":${text},"reasoning":${text}}`)
      }
      case 'refusal-delta':
        return this.#delta(event.choice, `{"refusal":${JSON.stringify(event.text)}}`)
      case 'tool-call-start':
        return this.#callStart(event.choice, event.call, writeSignedId(event), event.name)
      case 'tool-call-delta':
        return this.#callDelta(event.choice, event.call, event.arguments)
      case 'block-end':
        return this.#callEnd(event.choice, event.call)
      case 'usage':
        this.#usage = event.usage
        return ''
      case 'finish':
        return this.#finish(event.choice, event.reason)
      case 'end':
        this.#over = true
        return `${this.#usageChunk()}data: [DONE]\n\n`
      case 'error':
        this.#over = true
        return writeStreamError(event.error, false)
    }
  }

  #text(choice: number, text: string, logprobs: readonly TokenLogprob[] | undefined): string {
    const out = this.#delta(choice, `{"content":${JSON.stringify(text)}}`, logprobs)
    const state = this.#choices.get(choice)
    if (state) state.length += text.length
    return out
  }

  #citation(choice: number, citation: Citation): string {
    const length = this.#choices.get(choice)?.length ?? 0
    const annotations = citationsWithUrl([citation], this.#context).map((cited) => annotation(cited, length))
    return annotations.length === 0 ? '' : this.#delta(choice, JSON.stringify({ annotations }))
  }

  #delta(choice: number, delta: string, logprobs?: readonly TokenLogprob[]): string {
    const role = this.#choices.has(choice) ? '' : this.#role(choice, '""')
    const probabilities = logprobs ? JSON.stringify(writeLogprobs(logprobs)) : 'null'
    return `${role}${this.#head}[{"index":${choice},"delta":${delta},"logprobs":${probabilities},"finish_reason":null}]${this.#noUsage}}\n\n`
  }

  /** The first chunk of a choice has the role; `content` is null if the answer starts with a tool call. */
  #role(choice: number, content: '""' | 'null'): string {
    this.#choices.set(choice, { calledTools: false, withArguments: new Set(), custom: new Map(), length: 0 })
    return this.#delta(choice, `{"role":"assistant","content":${content}}`)
  }

  #callStart(choice: number, call: number, id: string, name: string): string {
    const role = this.#choices.has(choice) ? '' : this.#role(choice, 'null')
    const state = this.#choices.get(choice)
    if (state) state.calledTools = true
    this.#form ??= toolCallFormatOf(this.#context)
    const { isLegacy, custom } = this.#form
    if (isLegacy) {
      return call > 0
        ? role
        : role + this.#delta(choice, JSON.stringify({ function_call: { name, arguments: '' } }))
    }
    if (custom.has(name)) state?.custom.set(call, '')
    const kind = custom.has(name)
      ? { type: 'custom', custom: { name, input: '' } }
      : { type: 'function', function: { name, arguments: '' } }
    return role + this.#delta(choice, `{"tool_calls":[${JSON.stringify({ index: call, id, ...kind })}]}`)
  }

  #callDelta(choice: number, call: number, json: string): string {
    const state = this.#choices.get(choice)
    const before = state?.custom.get(call)
    if (before !== undefined) state?.custom.set(call, before + json)
    if (json === '' || before !== undefined) return ''
    state?.withArguments.add(call)
    return this.#callPiece(choice, call, `"function":{"arguments":${JSON.stringify(json)}}`)
  }

  #callEnd(choice: number, call: number): string {
    const state = this.#choices.get(choice)
    const json = state?.custom.get(call)
    if (json !== undefined) {
      state?.custom.delete(call)
      return this.#callPiece(choice, call, `"custom":{"input":${JSON.stringify(customText(json))}}`)
    }
    // Clients parse the arguments of every call, and an empty string is not JSON.
    return state?.withArguments.has(call) ? '' : this.#callDelta(choice, call, '{}')
  }

  /** Id, type and name are omitted after the first fragment: clients that merge fragments would overwrite them. */
  #callPiece(choice: number, call: number, piece: string): string {
    if (!this.#form?.isLegacy) return this.#delta(choice, `{"tool_calls":[{"index":${call},${piece}}]}`)
    return call > 0 ? '' : this.#delta(choice, `{${piece.replace('"function"', '"function_call"')}}`)
  }

  #finish(choice: number, reason: FinishReason): string {
    const role = this.#choices.has(choice) ? '' : this.#role(choice, '""')
    const calledTools = this.#choices.get(choice)?.calledTools
    const ending = reason === 'stop' && calledTools ? 'tool_calls' : reason
    const finishReason = this.#form?.isLegacy && ending === 'tool_calls' ? 'function_call' : ending
    return `${role}${this.#head}[{"index":${choice},"delta":{},"logprobs":null,"finish_reason":"${finishReason}"}]${this.#noUsage}}\n\n`
  }

  /** Only if requested: clients that read `choices[0]` of every chunk fail on it. */
  #usageChunk(): string {
    if (!this.#context.includeUsage || !this.#usage) return ''
    return `${this.#head}[],"usage":${JSON.stringify(writeUsage(this.#usage))}}\n\n`
  }
}

function headOf(context: AnswerContext, upstream: AnswerHead): string {
  const { systemFingerprint } = upstream
  const head = JSON.stringify({
    id: answerId(upstream.id, context.id),
    object: 'chat.completion.chunk',
    created: upstream.created ?? context.created,
    model: context.model,
    ...(systemFingerprint === undefined ? {} : { system_fingerprint: systemFingerprint }),
  })
  return `data: ${head.slice(0, -1)},"choices":`
}

/** The in-band error: the official clients throw on it, and only on this form (an object with a message). */
export function writeStreamError(error: RouterError, debug: boolean): string {
  return `data: ${JSON.stringify({ error: describeForOpenai(error, debug) })}\n\n`
}
