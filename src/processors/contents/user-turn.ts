import { applyEdits, type Edit } from '../../lib/json/splice.ts'
import { type JsonNode, memberOf, readTree, stringAt } from '../../lib/json/tree.ts'
import type { ChatMessage, ChatRequest } from '../../sdk/chat.ts'
import type { UserTurnForm } from '../../sdk/content.ts'

/** The last turn of the user in a chat. */
export interface UserTurn<Request> {
  readonly text: string
  /** The chat with text appended to the turn. */
  with(added: string): Request
}

/** In a received body, whose other bytes stay unchanged. Undefined if no user turn has text. `bytes` must be valid JSON. */
export function userTurnOfBody(bytes: Buffer, form: UserTurnForm): UserTurn<Buffer> | undefined {
  const root = readTree(bytes)
  const turns = root && memberOf(root, form.turns)
  if (!turns) return undefined
  if (turns.type === 'string') return turnOfString(bytes, turns)
  if (turns.type !== 'array') return undefined
  for (const item of turns.items.toReversed()) {
    const content = isUsers(bytes, item) ? memberOf(item, form.content) : undefined
    const turn = content && turnOfContent(bytes, content, form)
    if (turn) return turn
  }
  return undefined
}

/** Clients of Gemini may omit the role. */
function isUsers(bytes: Buffer, item: JsonNode): boolean {
  if (item.type !== 'object') return false
  const role = memberOf(item, 'role')
  return role === undefined
    ? memberOf(item, 'type') === undefined
    : role.type === 'string' && stringAt(bytes, role) === 'user'
}

function turnOfContent(bytes: Buffer, content: JsonNode, form: UserTurnForm): UserTurn<Buffer> | undefined {
  if (content.type === 'string') return turnOfString(bytes, content)
  if (content.type !== 'array') return undefined
  const texts = content.items.flatMap((part) => {
    if (part.type === 'string') return [stringAt(bytes, part)]
    const text = memberOf(part, 'text')
    return text?.type === 'string' ? [stringAt(bytes, text)] : []
  })
  const text = texts.join('\n')
  const last = content.items.at(-1)
  if (text.trim() === '' || !last) return undefined
  return {
    text,
    with: (added) =>
      edited(bytes, { start: last.end, end: last.end, text: `,${JSON.stringify(form.part(added))}` }),
  }
}

function turnOfString(bytes: Buffer, node: JsonNode): UserTurn<Buffer> | undefined {
  const text = stringAt(bytes, node)
  if (text.trim() === '') return undefined
  const { end } = node
  // The existing text keeps its bytes; only the addition is written.
  const written = (added: string): string => JSON.stringify(added).slice(1, -1)
  return { text, with: (added) => edited(bytes, { start: end - 1, end: end - 1, text: written(added) }) }
}

function edited(bytes: Buffer, edit: Edit): Buffer {
  return applyEdits(bytes, [edit])
}

/** In a chat in canonical form. */
export function userTurnOfChat(request: ChatRequest): UserTurn<ChatRequest> | undefined {
  const at = request.messages.findLastIndex(
    (message) => message.role === 'user' && textOf(message).trim() !== '',
  )
  const message = request.messages[at]
  if (message?.role !== 'user') return undefined
  return {
    text: textOf(message),
    with(added) {
      const changed = { ...message, parts: [...message.parts, { type: 'text' as const, text: added }] }
      return { ...request, messages: request.messages.with(at, changed) }
    },
  }
}

function textOf({ parts }: ChatMessage): string {
  return parts.flatMap((part) => (part.type === 'text' ? [part.text] : [])).join('\n')
}
