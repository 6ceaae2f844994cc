import { isObject, type JsonObject, numberOf, objectsIn } from '../../lib/json/read.ts'
import type { StreamContents, StreamedText } from '../../sdk/content.ts'

/** Pieces of text in the chunks of chats and of completions. Source: OpenAI API reference, "The chat completion chunk object". */
export const completionStream: StreamContents = {
  read(chunk) {
    const choices = Array.isArray(chunk.choices) ? chunk.choices : []
    const texts: StreamedText[] = []
    const ends: string[] = []
    for (const [position, choice] of choices.entries()) {
      if (!isObject(choice)) continue
      const index = numberOf(choice.index) ?? position
      texts.push(...textsOf(choice, index, ['choices', position]))
      if (choice.finish_reason !== undefined && choice.finish_reason !== null) ends.push(`${index}.`)
    }
    return { texts, ends }
  },
  continued({ usage: _usage, ...like }, { path }, text) {
    const [, position, ...members] = path
    const choice = objectsIn(like.choices)[Number(position)] ?? {}
    const delta = isObject(choice.delta) ? choice.delta : undefined
    const index = numberOf(choice.index) ?? Number(position)
    return {
      ...like,
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
}

function textsOf(choice: JsonObject, index: number, at: (string | number)[]): StreamedText[] {
  const texts: StreamedText[] = []
  const add = (channel: string, path: (string | number)[], more: Partial<StreamedText> = {}): void => {
    texts.push({ channel: `${index}.${channel}`, path: [...at, ...path], ...more })
  }
  const group = { group: String(index) }
  if (typeof choice.text === 'string') add('text', ['text'], group)
  const { delta } = choice
  if (!isObject(delta)) return texts
  for (const name of ['content', 'reasoning_content', 'reasoning', 'refusal'])
    if (typeof delta[name] === 'string') add(name, ['delta', name], group)
  if (isObject(delta.function_call) && typeof delta.function_call.arguments === 'string')
    add('function_call', ['delta', 'function_call', 'arguments'], { isJson: true })
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
      add(`call.${number}`, [...path, 'custom', 'input'])
  }
  return texts
}

/** A delta with this one piece and what says where it belongs. */
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
  return { [name]: rest.length === 0 ? text : { [String(rest[0])]: text } }
}
