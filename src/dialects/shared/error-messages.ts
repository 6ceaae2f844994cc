import type { RouterError } from '../../sdk/errors.ts'

/*
 * Clients detect a context overflow by the error message of the vendor whose API they use, and then shorten the conversation
 * or request a shorter response. Upstreams of other vendors word it differently. Messages of other errors are not changed.
 */

/** Source of the wording: OpenAI API, errors with the code `context_length_exceeded`. */
export function messageForOpenai(error: RouterError): string {
  const { kind, message, overflow } = error
  if (kind !== 'context_overflow' || /maximum context length|context window/i.test(message)) return message
  if (!overflow) return `This model's maximum context length was exceeded: ${message}`
  const { contextTokens, inputTokens, maxTokens } = overflow
  const limit = `This model's maximum context length is ${contextTokens} tokens.`
  if (maxTokens === undefined || inputTokens > contextTokens) {
    return `${limit} However, your messages resulted in ${inputTokens} tokens. Please reduce the length of the messages.`
  }
  const parts = `${inputTokens} in the messages, ${maxTokens} in the completion`
  return `${limit} However, you requested ${inputTokens + maxTokens} tokens (${parts}). Please reduce the length of the messages or completion.`
}

/**
 * Source of the wording: Anthropic API. Claude Code parses both forms, and lowers `max_tokens` or compacts the conversation.
 */
export function messageForAnthropic(error: RouterError): string {
  const { kind, message, overflow } = error
  if (kind !== 'context_overflow' || /prompt is too long|exceed context limit/i.test(message)) return message
  if (!overflow) return `prompt is too long: ${message}`
  const { contextTokens, inputTokens, maxTokens } = overflow
  if (maxTokens === undefined || inputTokens >= contextTokens) {
    return `prompt is too long: ${inputTokens} tokens > ${contextTokens} maximum`
  }
  return `input length and \`max_tokens\` exceed context limit: ${inputTokens} + ${maxTokens} > ${contextTokens}, decrease input length or \`max_tokens\` and try again`
}

/** Source of the wording: Ollama, `server/routes.go`. */
export function messageForOllama({ kind, message }: RouterError): string {
  if (kind !== 'context_overflow' || /context length/i.test(message)) return message
  return `the input length exceeds the context length: ${message}`
}
