import { isObject, type JsonObject, numberOf, objectsIn } from '../../../lib/json/read.ts'
import type {
  CitedRange,
  ContentShape,
  StreamContents,
  StreamedContents,
  StreamedText,
} from '../../../sdk/content.ts'
import { annotatedRanges } from '../../shared/annotations.ts'
import { createEnding } from './ending.ts'

/** The text in chunks of chats and legacy completions. Source: OpenAI API reference, "The chat completion chunk object". */
export const completionStream: StreamContents = {
  read(chunk) {
    const choices = Array.isArray(chunk.choices) ? chunk.choices : []
    const texts: StreamedText[] = []
    const ends: string[] = []
    const begins: string[] = []
    const whole: Whole[] = []
    const citations: CitedRange[] = []
    for (const [position, choice] of choices.entries()) {
      if (!isObject(choice)) continue
      const index = numberOf(choice.index) ?? position
      texts.push(...textsOf(choice, index, ['choices', position]))
      if (isObject(choice.delta)) {
        begins.push(...callsOf(choice.delta).map((call) => `${index}.call.${call}`))
        whole.push(...unknownIn(choice.delta, ['choices', position, 'delta']))
        const at = ['choices', position, 'delta', 'annotations']
        citations.push(...annotatedRanges(choice.delta.annotations, at, { channel: `${index}.content` }))
      }
      if (choice.finish_reason !== undefined && choice.finish_reason !== null) ends.push(`${index}.`)
    }
    return { texts, ends, begins, whole, citations }
  },
  continueText({ usage: _usage, ...template }, { path }, text) {
    const [, position, ...members] = path
    const choice = objectsIn(template.choices)[Number(position)] ?? {}
    const delta = isObject(choice.delta) ? choice.delta : undefined
    const index = numberOf(choice.index) ?? Number(position)
    return {
      ...template,
      choices: [
        {
          index,
          ...(members[0] === 'delta' ? { delta: deltaWith(delta, members.slice(1), text) } : { text }),
          logprobs: null,
          finish_reason: null,
        },
      ],
    }
  },
  endMark: 'data: [DONE]\n\n',
  createEnding,
}

type Whole = NonNullable<StreamedContents['whole']>[number]

/** Members of a delta that are read as pieces of text, or contain none. */
const knownMembers: ReadonlySet<string> = new Set([
  'role',
  'content',
  'reasoning_content',
  'reasoning',
  'refusal',
  'tool_calls',
  'function_call',
  'audio',
  'reasoning_details',
  'extra_content',
  'provider_specific_fields',
  'images',
])

/** Members of a delta that are not known, as whole values. */
function unknownIn(delta: JsonObject, at: (string | number)[]): Whole[] {
  const shape: ContentShape = 'value'
  return Object.entries(delta)
    .filter(([name, value]) => !knownMembers.has(name) && value !== null && value !== '')
    .map(([name]) => ({ path: [...at, name], shape }))
}

/** The indexes of the calls in a delta. */
function callsOf({ tool_calls: calls, function_call: legacyCall }: JsonObject): (number | string)[] {
  const indexes = objectsIn(calls).map((call, position) => numberOf(call.index) ?? position)
  return isObject(legacyCall) ? [...indexes, legacyIndex] : indexes
}

/** Stands for the index of the deprecated `function_call`, which has none. */
const legacyIndex = 'function'

function textsOf(choice: JsonObject, index: number, at: (string | number)[]): StreamedText[] {
  const texts: StreamedText[] = []
  const add = (channel: string, path: (string | number)[], more: Partial<StreamedText> = {}): void => {
    texts.push({ channel: `${index}.${channel}`, path: [...at, ...path], ...more })
  }
  const group = { group: String(index) }
  // Mistral's models stream lists of parts, some of them with reasoning.
  const addPart = (part: JsonObject, position: number): void => {
    const path = ['delta', 'content', position]
    if (typeof part.text === 'string') add('content', [...path, 'text'], group)
    for (const [at, thought] of objectsIn(part.thinking).entries())
      if (typeof thought.text === 'string') add('reasoning', [...path, 'thinking', at, 'text'], group)
  }
  if (typeof choice.text === 'string') add('text', ['text'], group)
  const { delta } = choice
  if (!isObject(delta)) return texts
  for (const name of ['content', 'reasoning_content', 'reasoning', 'refusal'])
    if (typeof delta[name] === 'string') add(name, ['delta', name], group)
  for (const [position, part] of objectsIn(delta.content).entries()) addPart(part, position)
  for (const [position, detail] of objectsIn(delta.reasoning_details).entries())
    for (const name of ['text', 'summary'])
      if (typeof detail[name] === 'string')
        add(`details.${name}`, ['delta', 'reasoning_details', position, name])
  if (isObject(delta.function_call) && typeof delta.function_call.arguments === 'string')
    add(`call.${legacyIndex}`, ['delta', 'function_call', 'arguments'], { isJson: true })
  if (isObject(delta.audio) && typeof delta.audio.transcript === 'string')
    add('transcript', ['delta', 'audio', 'transcript'])
  if (!Array.isArray(delta.tool_calls)) return texts
  for (const [position, call] of delta.tool_calls.entries()) {
    if (!isObject(call)) continue
    const number = numberOf(call.index) ?? position
    const path = ['delta', 'tool_calls', position]
    if (isObject(call.function) && typeof call.function.arguments === 'string')
      add(`call.${number}`, [...path, 'function', 'arguments'], { isJson: true })
    if (isObject(call.custom) && typeof call.custom.input === 'string')
      add(`call.${number}`, [...path, 'custom', 'input'], { isCall: true })
  }
  return texts
}

/** A delta with only this piece of text, and with the indexes and types that locate it. */
function deltaWith(
  delta: JsonObject | undefined,
  path: readonly (string | number)[],
  text: string,
): JsonObject {
  const [name = '', ...rest] = path
  if (name === 'tool_calls') {
    const [position, kind = '', member = ''] = rest
    const call = objectsIn(delta?.tool_calls)[Number(position)]
    return { tool_calls: [{ index: numberOf(call?.index) ?? Number(position), [kind]: { [member]: text } }] }
  }
  if (rest.length === 0) return { [name]: text }
  if (name === 'audio' || name === 'function_call') return { [name]: { [String(rest[0])]: text } }
  const [position, member = ''] = rest
  const before = objectsIn(delta?.[name])[Number(position)]
  const value = member === 'thinking' ? [{ type: 'text', text }] : text
  return { [name]: [{ ...before, [String(member)]: value }] }
}
