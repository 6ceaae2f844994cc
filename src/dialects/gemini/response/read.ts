import { append } from '../../../lib/append.ts'
import { filledTextOf, isObject, type JsonObject, present } from '../../../lib/json/read.ts'
import type { ChatChoice, ChatEvent, ChatResponse } from '../../../sdk/chat.ts'
import { addFile, addText } from '../../../sdk/choice-pieces.ts'
import { isErrorShaped, unreadable } from '../../shared/upstream-error.ts'
import { reportedError } from '../errors.ts'
import { CandidateReader } from './candidate-read.ts'
import { failureIn } from './fields-read.ts'

/** Checks that a body is an answer, whatever its content. Throws `upstream_error` if it is not, or reports an error. */
export function checkAnswer(body: unknown): asserts body is JsonObject {
  if (isErrorShaped(body)) throw reportedError(body)
  if (!isObject(body)) throw unreadable('not an object')
  if (!Array.isArray(body.candidates) && !isObject(body.promptFeedback) && !isObject(body.usageMetadata))
    throw unreadable('no candidates')
}

/**
 * Reads a whole answer, or the list of chunks that a server without `alt=sse` sends. Throws `upstream_error` as {@link
 * checkAnswer} does, and if the model failed to complete the answer.
 */
export function readResponse(body: unknown): ChatResponse {
  const chunks: unknown[] = Array.isArray(body) ? body : [body]
  if (chunks.length === 0) throw unreadable('no candidates')
  const reader = new CandidateReader()
  const response: ChatResponse = { choices: [] }
  const choices = new Map<number, ChatChoice>()
  const onEvent = (event: ChatEvent): void => {
    if (event.type === 'usage') response.usage = event.usage
    if ('choice' in event) addEvent(choiceAt(choices, event.choice), event)
  }
  for (const chunk of chunks) {
    checkAnswer(chunk)
    const failure = failureIn(chunk)
    if (failure) throw failure
    const id = filledTextOf(chunk.responseId)
    if (id !== undefined) response.id = id
    reader.read(chunk, onEvent)
  }
  reader.end(onEvent)
  append(
    response.choices,
    [...choices.values()].sort((one, other) => one.index - other.index),
  )
  return response
}

function addEvent(choice: ChatChoice, event: ChatEvent): void {
  switch (event.type) {
    case 'text-delta':
      addText(choice, event.text)
      if (choice.logprobs && event.logprobs) append(choice.logprobs, event.logprobs)
      else if (event.logprobs) choice.logprobs = [...event.logprobs]
      return
    case 'reasoning-delta':
      choice.reasoning += event.text
      if (event.signature !== undefined) choice.reasoningSignature = event.signature
      return
    case 'citation':
      choice.citations ??= []
      choice.citations.push(event.citation)
      return
    case 'file':
      addFile(choice, event.file)
      return
    case 'tool-call-start':
      choice.toolCalls[event.call] = {
        id: event.id,
        name: event.name,
        arguments: '',
        ...present({ signature: event.signature }),
      }
      return
    case 'tool-call-delta': {
      const call = choice.toolCalls[event.call]
      if (call) call.arguments += event.arguments
      return
    }
    case 'finish':
      choice.finishReason = event.reason
  }
}

function choiceAt(choices: Map<number, ChatChoice>, index: number): ChatChoice {
  const existing = choices.get(index)
  if (existing) return existing
  const choice: ChatChoice = { index, text: '', reasoning: '', toolCalls: [], finishReason: 'stop' }
  choices.set(index, choice)
  return choice
}
