import { append } from '../../../lib/append.ts'
import type { ChatMessage, ToolMessage } from '../../../sdk/chat.ts'

/**
 * Adds a failed result for each call that has none. Interrupted clients leave such calls behind, Ollama and most engines ignore
 * them, but OpenAI, Gemini and some chat templates reject the conversation, in every later turn too.
 */
export function withAllResults(messages: readonly ChatMessage[]): readonly ChatMessage[] {
  const answered = new Set(messages.flatMap((message) => (message.role === 'tool' ? [message.callId] : [])))
  let missing: ToolMessage[] = []
  const complete: ChatMessage[] = []
  for (const message of messages) {
    if (message.role !== 'tool') {
      append(complete, missing)
      missing = []
    }
    complete.push(message)
    if (message.role !== 'assistant') continue
    missing = message.toolCalls
      .filter(({ id }) => !answered.has(id))
      .map(({ id, name }) => noResult(id, name))
  }
  return inCallOrder([...complete, ...missing])
}

/**
 * Sorts consecutive results like their calls. Clients send them as their tools finish, with the id of the call, but most chat
 * templates ignore the id, so the model takes the first result for that of the first call.
 */
export function inCallOrder(messages: readonly ChatMessage[]): readonly ChatMessage[] {
  const calls = messages.flatMap((message) => (message.role === 'assistant' ? message.toolCalls : []))
  const positions = new Map(calls.map(({ id }, index) => [id, index]))
  const ordered: ChatMessage[] = []
  let results: ToolMessage[] = []
  const addResults = (): void => {
    const positionOf = ({ callId }: ToolMessage): number => positions.get(callId) ?? calls.length
    append(
      ordered,
      results.sort((one, other) => positionOf(one) - positionOf(other)),
    )
    results = []
  }
  for (const message of messages) {
    if (message.role === 'tool') results.push(message)
    else {
      addResults()
      ordered.push(message)
    }
  }
  addResults()
  return ordered
}

function noResult(callId: string, name: string): ToolMessage {
  return { role: 'tool', callId, name, parts: [{ type: 'text', text: 'No result' }], isError: true }
}

/** The result of a failed call, for dialects without a member for failures. */
export function failureText(text: string): string {
  return /^error\b/i.test(text) ? text : `Error: ${text}`
}
