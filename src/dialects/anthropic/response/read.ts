import { append } from '../../../lib/append.ts'
import {
  filledTextOf,
  isObject,
  type JsonObject,
  objectsIn,
  present,
  textOf,
} from '../../../lib/json/read.ts'
import type { ChatChoice, ChatResponse, Citation, ToolCall } from '../../../sdk/chat.ts'
import { addText } from '../../../sdk/choice-pieces.ts'
import { abortError } from '../../shared/finish-reasons.ts'
import { AnswerCallIds } from '../../shared/tools/call-ids.ts'
import { wholeArgumentText } from '../../shared/tools/tool-arguments.ts'
import { isErrorShaped, unreadable } from '../../shared/upstream-error.ts'
import { reportedError } from '../errors.ts'
import { fromWireName, randomCallId } from '../tool-identifiers.ts'
import { readCitation, readFinish, readRefusal, readUsage } from './fields-read.ts'

/** Checks that this is a `message`, whatever its content. Throws `upstream_error` if it is not, or reports an error. */
export function checkAnswer(body: unknown): asserts body is JsonObject {
  if (isErrorShaped(body)) throw reportedError(body)
  if (!isObject(body)) throw unreadable('not an object')
  if (!Array.isArray(body.content) && body.type !== 'message') throw unreadable('no content')
  const failed = abortError(body.stop_reason)
  if (failed) throw failed
}

/** Reads a whole `message`. Throws `upstream_error` as {@link checkAnswer} does. */
export function readResponse(body: unknown, newCallId: () => string = randomCallId): ChatResponse {
  checkAnswer(body)
  const blocks = objectsIn(body.content)
  const ids = new AnswerCallIds(newCallId)
  const thinkingBlocks = blocks.filter(({ type }) => type === 'thinking')
  const choice: ChatChoice = {
    index: 0,
    text: '',
    reasoning: thinkingBlocks
      .map(({ thinking }) => textOf(thinking))
      .filter(Boolean)
      .join('\n\n'),
    toolCalls: [],
    finishReason: 'stop',
  }
  for (const block of blocks) {
    if (block.type === 'text') addText(choice, textOf(block.text) ?? '')
    else if (block.type === 'tool_use') append(choice.toolCalls, readCall(block, ids))
  }
  const { reason, unknownReason, stopSequence } = readFinish(body, choice.toolCalls.length > 0)
  Object.assign(choice, {
    finishReason: reason,
    ...present({
      unknownReason,
      stopSequence,
      refusal: readRefusal(body),
      citations: readCitations(blocks),
      reasoningSignature:
        thinkingBlocks.length === 1 ? filledTextOf(thinkingBlocks[0]?.signature) : undefined,
    }),
  })
  return { choices: [choice], ...present({ id: filledTextOf(body.id), usage: readUsage(body) }) }
}

function readCitations(blocks: readonly JsonObject[]): Citation[] | undefined {
  let length = 0
  const citations = blocks.flatMap((block): Citation[] => {
    if (block.type !== 'text') return []
    const start = length
    length += textOf(block.text)?.length ?? 0
    return objectsIn(block.citations).flatMap((sent) => {
      const citation = readCitation(sent)
      return citation ? [{ ...citation, start, end: length }] : []
    })
  })
  return citations.length === 0 ? undefined : citations
}

/** A call without a name is dropped: it would be an error in the next turn. */
function readCall(block: JsonObject, ids: AnswerCallIds): ToolCall[] {
  const name = filledTextOf(block.name)
  if (name === undefined) return []
  const json = wholeArgumentText(block.input)
  return [{ id: ids.claim(textOf(block.id)), name: fromWireName(name), arguments: json }]
}
