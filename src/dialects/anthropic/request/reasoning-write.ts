import type { JsonObject } from '../../../lib/json/read.ts'
import type { ChatMessage, ChatRequest, ReasoningEffort } from '../../../sdk/chat.ts'
import type { WriteRequestOptions } from '../../../sdk/write-options.ts'
import { supportedEffort } from '../../shared/reasoning.ts'
import { signatureFor } from '../../shared/signatures.ts'

export interface WrittenReasoning {
  /** The member `thinking`; undefined for the server's default. */
  thinking: JsonObject | undefined
  /** `output_config.effort`, if a level is used instead of a budget. */
  effort: string | undefined
  /** Tokens for thinking, a part of `max_tokens`; 0 without a budget. */
  budget: number
  /** Thinking rules out some sampling values. */
  isThinking: boolean
}

const noReasoning: WrittenReasoning = { thinking: undefined, effort: undefined, budget: 0, isThinking: false }

/** Source: Anthropic API reference, "Extended thinking". */
const minBudgetTokens = 1_024

/** Writes the reasoning level in the model's form: a token budget, or a level for adaptive thinking. */
export function writeReasoning(request: ChatRequest, options: WriteRequestOptions): WrittenReasoning {
  const { reasoningEffort: effort, reasoningBudget: requested } = request
  const { thinking } = options.profile ?? {}
  if (effort === undefined && requested === undefined) return noReasoning
  if (thinking === 'none') {
    if (effort !== 'none') options.drop('reasoning_effort', 'the model does not support thinking')
    return noReasoning
  }
  if (thinking === 'adaptive' || thinking === 'always') return writeAdaptive(request, thinking, options)
  if (effort === 'none') return { ...noReasoning, thinking: { type: 'disabled' } }
  const obstacle = obstacleToThinking(request) ?? obstacleToBudget(request.messages)
  if (obstacle !== undefined) {
    options.drop('reasoning_effort', obstacle)
    return noReasoning
  }
  if (thinking === undefined && requested === undefined && (effort === 'xhigh' || effort === 'max')) {
    return { thinking: { type: 'adaptive' }, effort, budget: 0, isThinking: true }
  }
  const budget = Math.max(requested ?? budgetOf(effort), minBudgetTokens)
  return { thinking: { type: 'enabled', budget_tokens: budget }, effort: undefined, budget, isThinking: true }
}

/**
 * Writes a level instead of a budget; earlier turns need not begin with thinking. Source: Anthropic documentation, "Adaptive
 * thinking".
 */
function writeAdaptive(
  request: ChatRequest,
  thinking: 'adaptive' | 'always',
  { flavour, drop }: WriteRequestOptions,
): WrittenReasoning {
  const { reasoningEffort, reasoningBudget } = request
  if (reasoningEffort === 'none' && thinking === 'adaptive')
    return { ...noReasoning, thinking: { type: 'disabled' } }
  const requested = reasoningEffort ?? effortOfBudget(reasoningBudget ?? 0)
  const { level, why } = requested === 'on' ? { level: undefined } : supportedEffort(flavour, requested)
  if (why !== undefined) drop('reasoning_effort', why)
  const obstacle = thinking === 'adaptive' ? obstacleToThinking(request) : undefined
  if (obstacle === undefined)
    return { thinking: { type: 'adaptive' }, effort: level, budget: 0, isThinking: true }
  drop('reasoning_effort', obstacle)
  return { ...noReasoning, effort: level }
}

/** The level of a budget in tokens; {@link budgetOf} returns budgets of the same level. */
export function effortOfBudget(budget: number): ReasoningEffort {
  if (budget < 2_048) return 'low'
  return budget < 8_192 ? 'medium' : 'high'
}

/** `max_tokens` must exceed the budget: a smaller value is taken as the limit of the text alone. */
export function maxTokensWithBudget(budget: number, maxTokens: number): number {
  return budget > 0 && maxTokens <= budget ? maxTokens + budget : maxTokens
}

function budgetOf(effort: ReasoningEffort | undefined): number {
  switch (effort) {
    case 'minimal':
      return minBudgetTokens
    case 'low':
      return 1_536
    case 'high':
    case 'xhigh':
    case 'max':
      return 16_384
    default:
      return 4_096
  }
}

/** Why Anthropic would reject the request with thinking, which is then disabled. */
function obstacleToThinking({ tools, toolChoice }: ChatRequest): string | undefined {
  return tools.length > 0 && (toolChoice === 'required' || typeof toolChoice === 'object')
    ? 'Anthropic does not support thinking with a forced tool call'
    : undefined
}

/** The same for a budget. Source: Anthropic, "Extended thinking", "Preserving thinking blocks" and "Prefill". */
function obstacleToBudget(messages: readonly ChatMessage[]): string | undefined {
  if (isPrefilled(messages)) return 'Anthropic does not support thinking with a prefilled assistant turn'
  return isUnsignedToolLoop(messages)
    ? 'after a tool call, Anthropic continues thinking only with reasoning that it has signed'
    : undefined
}

function isPrefilled(messages: readonly ChatMessage[]): boolean {
  const last = messages.at(-1)
  return last?.role === 'assistant' && last.toolCalls.length === 0
}

/**
 * If the assistant's last turn has calls, it must begin with thinking that Anthropic has signed, because what follows the
 * results belongs to the same turn.
 */
function isUnsignedToolLoop(messages: readonly ChatMessage[]): boolean {
  const last = messages.findLastIndex((message) => message.role === 'assistant')
  // Consecutive messages of the assistant are one turn.
  const first = messages.findLastIndex((message, index) => index < last && message.role !== 'assistant') + 1
  const turn = messages.slice(first, last + 1).filter((message) => message.role === 'assistant')
  const hasCalls = turn.some((message) => message.toolCalls.length > 0)
  return hasCalls && !signatureFor('anthropic', turn[0]?.reasoningSignature)
}
