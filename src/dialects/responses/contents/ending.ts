import { isObject, type JsonObject, numberOf, objectsIn, textOf } from '../../../lib/json/read.ts'
import type { StreamEnding } from '../../../sdk/content.ts'

/** A content part that has begun and not ended. */
interface OpenPart {
  readonly event: JsonObject
  text: string
}

interface OpenItem {
  readonly item: JsonObject
  readonly id: unknown
  parts: JsonObject[]
  part: OpenPart | undefined
}

/**
 * Ends the open part, its item and the response, with all the events that clients expect at the end of a stream. Source:
 * OpenAI API reference, "Streaming events" of responses.
 */
export function createEnding(): StreamEnding {
  const open = new Map<number, OpenItem>()
  const output: JsonObject[] = []
  let response: JsonObject = {}
  let next = 0
  return {
    observe(event) {
      next = (numberOf(event.sequence_number) ?? next - 1) + 1
      const index = numberOf(event.output_index) ?? 0
      const item = open.get(index)
      switch (event.type) {
        case 'response.created':
        case 'response.in_progress':
          if (isObject(event.response)) response = event.response
          return
        case 'response.output_item.added':
          if (isObject(event.item))
            open.set(index, { item: event.item, id: event.item.id, parts: [], part: undefined })
          return
        case 'response.output_item.done':
          open.delete(index)
          if (isObject(event.item)) output.push(event.item)
          return
        case 'response.content_part.added':
        case 'response.reasoning_summary_part.added':
          if (item) item.part = { event, text: '' }
          return
        case 'response.content_part.done':
        case 'response.reasoning_summary_part.done':
          if (item && isObject(event.part)) item.parts.push(event.part)
          if (item) item.part = undefined
          return
        default:
          if (item?.part && String(event.type).endsWith('.delta')) item.part.text += textOf(event.delta) ?? ''
      }
    },
    endFiltered() {
      const events: JsonObject[] = []
      for (const [output_index, openItem] of open) {
        const at = { output_index, item_id: openItem.id }
        if (openItem.part) events.push(...partEndEvents(openItem, openItem.part, at))
        const item = incompleteItem(openItem)
        events.push({ type: 'response.output_item.done', output_index, item })
        output.push(item)
      }
      events.push({ type: 'response.incomplete', response: filteredAnswer({ ...response, output }) })
      return events.map(({ type, ...members }) => ({ type, sequence_number: next++, ...members }))
    },
  }
}

function partEndEvents(item: OpenItem, { event, text }: OpenPart, at: JsonObject): JsonObject[] {
  const startedPart = isObject(event.part) ? event.part : {}
  const isSummary = event.summary_index !== undefined
  const isRefusal = startedPart.type === 'refusal'
  const part = { ...startedPart, ...(isRefusal ? { refusal: text } : { text }) }
  item.parts.push(part)
  if (isSummary) {
    const { summary_index } = event
    return [
      { type: 'response.reasoning_summary_text.done', ...at, summary_index, text },
      { type: 'response.reasoning_summary_part.done', ...at, summary_index, part },
    ]
  }
  const { content_index } = event
  const done = isRefusal
    ? { type: 'response.refusal.done', ...at, content_index, refusal: text }
    : { type: 'response.output_text.done', ...at, content_index, text, logprobs: [] }
  return [done, { type: 'response.content_part.done', ...at, content_index, part }]
}

function incompleteItem({ item, parts }: OpenItem): JsonObject {
  if (item.type === 'reasoning') return { ...item, summary: parts }
  return { ...item, status: 'incomplete', ...(item.type === 'message' ? { content: parts } : {}) }
}

/** The response as incomplete, with the items of `output`, which the client may see. */
export function filteredAnswer({ output, ...answer }: Readonly<JsonObject>): JsonObject {
  return {
    ...answer,
    completed_at: null,
    status: 'incomplete',
    incomplete_details: { reason: 'content_filter' },
    output: objectsIn(output),
  }
}
