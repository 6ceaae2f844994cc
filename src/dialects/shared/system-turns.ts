import type { ChatMessage, SystemMessage, TextPart, UserMessage } from '../../sdk/chat.ts'
import type { WriteRequestOptions } from '../../sdk/write-options.ts'

/**
 * Many chat templates (Qwen, Gemma, Mistral) accept a single system turn, at the very beginning, and raise an error for any
 * other. Claude Code and Codex send more in every request. Unless the target keeps them, leading ones are joined, and a later
 * one becomes text of the adjacent user turn, or a user turn of its own. It keeps its position, because moving it to the front
 * would change the prefix that the engine has cached, but it never separates a tool call from its results.
 */
export function foldSystemTurns(
  messages: readonly ChatMessage[],
  { systemTurns, drop }: Pick<WriteRequestOptions, 'systemTurns' | 'drop'>,
): readonly ChatMessage[] {
  if (systemTurns === 'keep' || !needsFolding(messages)) return messages
  const leading = messages.findIndex(({ role }) => role !== 'system')
  const first = leading === -1 ? messages.length : leading
  const head = messages.slice(0, first).filter((message) => message.role === 'system')
  const folded: ChatMessage[] = head.length === 0 ? [] : [joined(head)]
  let pendingTexts: TextPart[] = []
  const flush = (): void => {
    if (pendingTexts.length === 0) return
    const last = folded.at(-1)
    if (last?.role === 'user')
      folded[folded.length - 1] = { ...last, parts: [...last.parts, ...pendingTexts] }
    else folded.push({ role: 'user', parts: pendingTexts })
    pendingTexts = []
  }
  for (const message of messages.slice(first)) {
    switch (message.role) {
      case 'system':
        if (message.parts.some(({ text }) => text.trim() !== '')) {
          drop(
            'messages.system',
            'only a leading system message is supported; a later one was sent as user text',
          )
          pendingTexts.push({ type: 'text', text: asUserText(message) })
        }
        break
      case 'user':
        folded.push(withLeadingTexts(message, pendingTexts))
        pendingTexts = []
        break
      case 'assistant':
        flush()
        folded.push(message)
        break
      case 'tool':
        // No flush: a waiting text must follow all results of the turn.
        folded.push(message)
    }
  }
  flush()
  return folded
}

/** A system turn as text for a user turn. */
export function asUserText({ parts }: Pick<SystemMessage, 'parts'>): string {
  return `<system>\n${parts.map(({ text }) => text).join('\n\n')}\n</system>`
}

function needsFolding(messages: readonly ChatMessage[]): boolean {
  return messages.some(({ role }, index) => index > 0 && role === 'system')
}

function withLeadingTexts(message: UserMessage, texts: TextPart[]): UserMessage {
  return texts.length === 0 ? message : { ...message, parts: [...texts, ...message.parts] }
}

function joined(messages: readonly SystemMessage[]): SystemMessage {
  const [only] = messages
  if (only && messages.length === 1) return only
  const texts = messages.map(({ parts }) => parts.map(({ text }) => text).join('\n'))
  return {
    role: 'system',
    developer: messages.every(({ developer }) => developer),
    parts: [{ type: 'text', text: texts.filter((text) => text !== '').join('\n\n') }],
  }
}
