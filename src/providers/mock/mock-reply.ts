import { isObject } from '../../lib/json/read.ts'
import type { MockRequest } from './request.ts'
import { exampleOf } from './schema.ts'

/** Returns the text of a response: the configured reply, or a summary of the request; JSON if the request asks for it. */
export function replyText(
  request: MockRequest,
  reply: string | undefined,
  model: string,
  choice: number,
): string {
  const { format } = request
  switch (format.type) {
    case 'text':
      return reply ?? describe(request, model, choice)
    case 'json':
      if (reply !== undefined && isObject(parsed(reply))) return reply
      return JSON.stringify({ reply: reply ?? describe(request, model, choice) })
    case 'schema':
      if (reply !== undefined && parsed(reply) !== undefined) return reply
      return JSON.stringify(exampleOf(format.schema))
  }
}

/** Summarizes the request, so that users see what reached the model. */
function describe(request: MockRequest, model: string, choice: number): string {
  const read = `Mock answer from "${model}": I read ${counted(request.messageCount, 'message')}`
  const names = request.tools.map((tool) => tool.name).join(', ')
  const seen = [
    request.imageCount > 0 ? counted(request.imageCount, 'image') : '',
    names === '' ? '' : `${counted(request.tools.length, 'tool')} (${shortened(names)})`,
    request.format.type === 'text' ? '' : 'a request for JSON',
    request.choices > 1 ? `that this is answer ${choice + 1} of ${request.choices}` : '',
  ].filter((part) => part !== '')
  return `${read}; ${lastWords(request)}.${seen.length > 0 ? ` I also see ${listed(seen)}.` : ''}`
}

function lastWords({ toolResult, lastUserText }: MockRequest): string {
  if (toolResult !== undefined) return `the tool answered "${shortened(toolResult)}"`
  if (lastUserText.trim() === '') return 'the user wrote no text'
  return `the last user message says "${shortened(lastUserText)}"`
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

function counted(count: number, word: string): string {
  return `${count} ${word}${count === 1 ? '' : 's'}`
}

function listed(parts: string[]): string {
  return parts.length > 1 ? `${parts.slice(0, -1).join(', ')} and ${parts.at(-1)}` : parts.join('')
}

function shortened(text: string): string {
  const characters = Array.from(text.slice(0, 400).replace(/\s+/g, ' ').trim())
  return characters.length > 80 ? `${characters.slice(0, 79).join('')}…` : characters.join('')
}
