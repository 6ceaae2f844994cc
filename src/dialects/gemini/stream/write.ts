import { type JsonObject, present } from '../../../lib/json/read.ts'
import type { ChatEvent, Citation, FinishReason, ToolCall, Usage } from '../../../sdk/chat.ts'
import type { AnswerContext, ChatStreamWriter } from '../../../sdk/dialect.ts'
import { citationsWithUrl } from '../../shared/dropped-output.ts'
import { writeError } from '../errors.ts'
import { writeGrounding } from '../grounding.ts'
import {
  answerTail,
  includesThoughts,
  writeCall,
  writeFile,
  writeFinish,
  writeLogprobs,
  writeUsage,
} from '../response/fields-write.ts'

/** How the chunks of a stream are delimited. */
export interface ChunkFraming {
  chunk(json: string): string
  /** Text after the last chunk. */
  end(): string
}

/** Server-sent events, as requested by `alt=sse`. */
const sseChunks: ChunkFraming = { chunk: (json) => `data: ${json}\n\n`, end: () => '' }

/** Writes a stream of chunks, each in the form of a whole answer. Format: Gemini API reference, "streamGenerateContent". */
export function createWriter(context: AnswerContext, framing: ChunkFraming = sseChunks): ChatStreamWriter {
  return new StreamWriter(context, framing)
}

class StreamWriter implements ChatStreamWriter {
  readonly #context: AnswerContext
  readonly #framing: ChunkFraming
  readonly #includesThoughts: boolean
  /** Incomplete calls: the format has no fragments of calls. */
  readonly #calls = new Map<string, ToolCall>()
  /** The thoughts of each choice, until its first call carries their signature. */
  readonly #thoughts = new Map<number, { reasoning: string; signature: string | undefined }>()
  readonly #finished: { choice: number; reason: FinishReason }[] = []
  readonly #refusals = new Set<number>()
  /** Texts so far: citations are written as byte offsets in them. */
  readonly #texts = new Map<number, string>()
  readonly #citations = new Map<number, Citation[]>()
  #id: string | undefined
  #usage: Usage | undefined
  #over = false

  constructor(context: AnswerContext, framing: ChunkFraming) {
    this.#context = context
    this.#framing = framing
    this.#includesThoughts = includesThoughts(context)
  }

  write(event: ChatEvent): string {
    if (this.#over) return ''
    switch (event.type) {
      case 'start':
        this.#id = event.id
        return ''
      case 'text-delta':
        if (event.text === '') return ''
        this.#texts.set(event.choice, (this.#texts.get(event.choice) ?? '') + event.text)
        return this.#parts(
          event.choice,
          [{ text: event.text }],
          present({ logprobsResult: event.logprobs && writeLogprobs(event.logprobs) }),
        )
      case 'refusal-delta':
        this.#refusals.add(event.choice)
        return event.text === '' ? '' : this.#parts(event.choice, [{ text: event.text }])
      case 'citation':
        this.#citationsOf(event.choice).push(event.citation)
        return ''
      case 'file':
        return this.#parts(event.choice, [writeFile(event.file)])
      case 'reasoning-delta':
        return this.#thought(event)
      case 'tool-call-start':
        this.#calls.set(`${event.choice}/${event.call}`, {
          id: event.id,
          name: event.name,
          arguments: '',
          ...present({ signature: event.signature }),
        })
        return ''
      case 'tool-call-delta': {
        const call = this.#calls.get(`${event.choice}/${event.call}`)
        if (call) call.arguments += event.arguments
        return ''
      }
      case 'block-end':
        return this.#call(event.choice, `${event.choice}/${event.call}`)
      case 'usage':
        this.#usage = event.usage
        return ''
      case 'finish':
        this.#finished.push(event)
        return ''
      case 'end':
        return this.#end()
      case 'error': {
        this.#over = true
        const options = { ownPath: false, debug: false, requestId: '' }
        return this.#framing.chunk(JSON.stringify(writeError(event.error, options))) + this.#framing.end()
      }
    }
  }

  #thought({ choice, text, signature }: Extract<ChatEvent, { type: 'reasoning-delta' }>): string {
    const before = this.#thoughts.get(choice)
    this.#thoughts.set(choice, {
      reasoning: (before?.reasoning ?? '') + text,
      signature: signature ?? before?.signature,
    })
    return this.#includesThoughts && text !== '' ? this.#parts(choice, [{ text, thought: true }]) : ''
  }

  #call(choice: number, key: string): string {
    const call = this.#calls.get(key)
    if (!call) return ''
    this.#calls.delete(key)
    const thoughts = this.#thoughts.get(choice)
    this.#thoughts.delete(choice)
    const { reasoning = '', signature } = thoughts ?? {}
    return this.#parts(choice, [
      writeCall(call, signature === undefined ? undefined : { reasoning, signature }),
    ])
  }

  #parts(index: number, parts: JsonObject[], members: JsonObject = {}): string {
    return this.#chunk({ candidates: [{ content: { parts, role: 'model' }, index, ...members }] })
  }

  #chunk(members: JsonObject): string {
    const { id } = this.#context
    return this.#framing.chunk(JSON.stringify({ ...members, ...answerTail(this.#context, this.#id ?? id) }))
  }

  #citationsOf(choice: number): Citation[] {
    const citations = this.#citations.get(choice) ?? []
    this.#citations.set(choice, citations)
    return citations
  }

  #grounding(choice: number): JsonObject | undefined {
    const citations = citationsWithUrl(this.#citations.get(choice) ?? [], this.#context)
    const text = this.#texts.get(choice) ?? ''
    return writeGrounding(citations, [{ text, start: 0, partIndex: 0 }])
  }

  /** The last chunk has the finish reasons and the token counts, which some servers send after the reasons. */
  #end(): string {
    this.#over = true
    const open = [...this.#calls.keys()].map((key) => this.#call(Number(key.split('/')[0]), key)).join('')
    const candidates = this.#finished.map(({ choice: index, reason }) => ({
      content: { parts: [{ text: '' }], role: 'model' },
      finishReason: writeFinish(this.#refusals.has(index) ? 'content_filter' : reason),
      index,
      ...present({ groundingMetadata: this.#grounding(index) }),
    }))
    const last = this.#chunk({
      candidates,
      ...present({ usageMetadata: this.#usage && writeUsage(this.#usage) }),
    })
    return open + last + this.#framing.end()
  }
}
