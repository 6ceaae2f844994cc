import { isObject } from '../../lib/json/read.ts'
import type { MockSettings } from '../../sdk/target.ts'
import { replyText } from './mock-reply.ts'
import type { MockRequest } from './request.ts'
import { exampleOf } from './schema.ts'

export interface MockToolCall {
  id: string
  name: string
  /** JSON text, split into tokens. */
  arguments: string[]
}

/** One choice of a response. Texts are lists of tokens. */
export interface MockChoice {
  reasoning: string[]
  content: string[]
  toolCall: MockToolCall | undefined
  finishReason: 'stop' | 'length' | 'tool_calls'
}

export interface MockAnswer {
  id: string
  choices: MockChoice[]
  usage: { promptTokens: number; completionTokens: number; reasoningTokens: number }
}

/** Plans a response. Deterministic for the same request, settings and random numbers. */
export function mockAnswer(
  request: MockRequest,
  settings: MockSettings,
  model: string,
  random: () => number,
): MockAnswer {
  const id = `chatcmpl-${hexadecimal(random, 24)}`
  const choices = Array.from({ length: request.choices }, (_, index) => {
    const call = plannedCall(request, settings.tool_call, random)
    return call
      ? callingChoice(request, call)
      : textChoice(request, replyText(request, settings.reply, model, index))
  })
  return { id, choices, usage: usageOf(request, choices) }
}

/**
 * Splits text into pieces of about the size of tokens: up to six letters or digits with an optional preceding space, or any
 * other single character.
 */
function tokensOf(text: string): string[] {
  return text.match(/ ?[\p{L}\p{N}\p{M}_]{1,6}|./gsu) ?? []
}

function textChoice(request: MockRequest, text: string): MockChoice {
  const reasoning = reasoningOf(request)
  const content = tokensOf(untilStop(text, request.stop))
  const shown = reasoning.slice(0, request.maxTokens)
  const rest = Math.floor(request.maxTokens - shown.length)
  return {
    reasoning: shown,
    content: content.slice(0, rest),
    toolCall: undefined,
    finishReason: reasoning.length + content.length > request.maxTokens ? 'length' : 'stop',
  }
}

/** Omits the call if the token limit would truncate its arguments. */
function callingChoice(request: MockRequest, toolCall: MockToolCall): MockChoice {
  const reasoning = reasoningOf(request)
  const fits = reasoning.length + toolCall.arguments.length <= request.maxTokens
  return {
    reasoning: reasoning.slice(0, request.maxTokens),
    content: [],
    toolCall: fits ? toolCall : undefined,
    finishReason: fits ? 'tool_calls' : 'length',
  }
}

/**
 * Calls a tool if the request has tools and the settings or its `tool_choice` ask for a call. A conversation that ends with a
 * tool result gets text instead: otherwise a program that loops over tool calls would never end.
 */
function plannedCall(
  request: MockRequest,
  setting: { name: string; arguments?: Record<string, unknown> } | boolean | undefined,
  random: () => number,
): MockToolCall | undefined {
  const { tools, toolChoice } = request
  const first = tools[0]
  if (!first || toolChoice === 'none' || request.toolResult !== undefined) return undefined
  const named = typeof toolChoice === 'object' ? toolChoice.name : undefined
  if (named === undefined && toolChoice !== 'required' && !setting) return undefined

  const configured = typeof setting === 'object' ? setting : undefined
  const name = named ?? configured?.name ?? first.name
  const configuredArguments = configured?.name === name ? configured.arguments : undefined
  const example = exampleOf(tools.find((tool) => tool.name === name)?.parameters)
  const value = configuredArguments ?? (isObject(example) ? example : {})
  return { id: `call_${hexadecimal(random, 24)}`, name, arguments: tokensOf(JSON.stringify(value)) }
}

function reasoningOf(request: MockRequest): string[] {
  return request.reasoning ? tokensOf('I read the conversation and answer its last message.') : []
}

function untilStop(text: string, stop: string[]): string {
  const found = stop.map((sequence) => text.indexOf(sequence)).filter((at) => at !== -1)
  return found.length > 0 ? text.slice(0, Math.min(...found)) : text
}

/** Estimates prompt tokens: one per four characters, four per message, 256 per image. */
function usageOf(request: MockRequest, choices: MockChoice[]): MockAnswer['usage'] {
  const reasoningTokens = choices.reduce((sum, choice) => sum + choice.reasoning.length, 0)
  const outputTokens = choices.reduce(
    (sum, choice) => sum + choice.content.length + (choice.toolCall?.arguments.length ?? 0),
    0,
  )
  return {
    promptTokens:
      Math.ceil(request.promptCharacters / 4) + 4 * request.messageCount + 256 * request.imageCount,
    completionTokens: reasoningTokens + outputTokens,
    reasoningTokens,
  }
}

function hexadecimal(random: () => number, length: number): string {
  return Array.from({ length }, () => Math.floor(random() * 16).toString(16)).join('')
}
