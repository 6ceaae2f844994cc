import type { JsonObject } from '../../../lib/json/read.ts'
import type { ChatMessage, ChatRequest, ReasoningEffort } from '../../../sdk/chat.ts'
import type { WriteRequestOptions } from '../../../sdk/dialect.ts'
import { effortOn } from '../../shared/reasoning.ts'
import { signatureOf } from '../../shared/signatures.ts'

export interface WrittenReasoning {
  /** The member `thinking`; undefined for the server's default. */
  thinking: JsonObject | undefined
  /** `output_config.effort`, if a level is used instead of a budget. */
  effort: string | undefined
  /** Tokens for thoughts, a part of `max_tokens`. */
  budget: number
  /** Whether the model thinks, which rules out some sampling values. */
  on: boolean
}

const off: WrittenReasoning = { thinking: undefined, effort: undefined, budget: 0, on: false }

/** Anthropic API reference, "Extended thinking". */
const leastBudget = 1_024

/** Writes the reasoning level in the model's form: a token budget, or a level for adaptive thinking. */
export function writeReasoning(request: ChatRequest, options: WriteRequestOptions): WrittenReasoning {
  const { reasoningEffort: effort, reasoningBudget: asked } = request
  const { thinking } = options.profile ?? {}
  if (effort === undefined && asked === undefined) return off
  if (thinking === 'none') {
    if (effort !== 'none') options.drop('reasoning_effort', 'the model does not support thinking')
    return off
  }
  if (thinking === 'adaptive' || thinking === 'always') return writeAdaptive(request, thinking, options)
  if (effort === 'none') return { ...off, thinking: { type: 'disabled' } }
  const obstacle = forcedCall(request) ?? obstacleToBudget(request.messages)
  if (obstacle !== undefined) {
    options.drop('reasoning_effort', obstacle)
    return off
  }
  if (thinking === undefined && asked === undefined && (effort === 'xhigh' || effort === 'max')) {
    return { thinking: { type: 'adaptive' }, effort, budget: 0, on: true }
  }
  const budget = Math.max(asked ?? budgetOf(effort), leastBudget)
  return { thinking: { type: 'enabled', budget_tokens: budget }, effort: undefined, budget, on: true }
}

/**
 * Anthropic, "Adaptive thinking": a level instead of a budget, and earlier turns need not begin with their thoughts.
 */
function writeAdaptive(
  request: ChatRequest,
  thinking: 'adaptive' | 'always',
  { flavour, drop }: WriteRequestOptions,
): WrittenReasoning {
  const { reasoningEffort, reasoningBudget } = request
  if (reasoningEffort === 'none' && thinking === 'adaptive') return { ...off, thinking: { type: 'disabled' } }
  const wanted = reasoningEffort ?? effortOfBudget(reasoningBudget ?? 0)
  const { level, why } = wanted === 'on' ? { level: undefined } : effortOn(flavour, wanted)
  if (why !== undefined) drop('reasoning_effort', why)
  const obstacle = thinking === 'adaptive' ? forcedCall(request) : undefined
  if (obstacle === undefined) return { thinking: { type: 'adaptive' }, effort: level, budget: 0, on: true }
  drop('reasoning_effort', obstacle)
  return { ...off, effort: level }
}

/** The level whose budget is equivalent. */
function effortOfBudget(budget: number): ReasoningEffort {
  if (budget < 2_048) return 'low'
  return budget < 8_192 ? 'medium' : 'high'
}

/** `max_tokens` must exceed the budget; otherwise it is treated as the limit of the text only. */
export function roomFor(budget: number, maxTokens: number): number {
  return budget > 0 && maxTokens <= budget ? maxTokens + budget : maxTokens
}

function budgetOf(effort: ReasoningEffort | undefined): number {
  switch (effort) {
    case 'minimal':
      return leastBudget
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

/** Why thinking would be an error; the answer then matters more than the thoughts. */
function forcedCall({ tools, toolChoice }: ChatRequest): string | undefined {
  return tools.length > 0 && (toolChoice === 'required' || typeof toolChoice === 'object')
    ? 'Anthropic does not support thinking with a forced tool call'
    : undefined
}

/** The same of thinking by a budget. Anthropic, "Extended thinking", "Preserving thinking blocks" and "Prefill". */
function obstacleToBudget(messages: readonly ChatMessage[]): string | undefined {
  if (isPrefilled(messages)) return 'Anthropic does not support thinking when a turn is to be continued'
  return isUnprovenToolLoop(messages)
    ? 'after a tool call, Anthropic continues thinking only with reasoning that it has signed'
    : undefined
}

function isPrefilled(messages: readonly ChatMessage[]): boolean {
  const last = messages.at(-1)
  return last?.role === 'assistant' && last.toolCalls.length === 0
}

/**
 * The last turn of the assistant must begin with its thoughts, signed by the upstream, where it has calls: whatever follows
 * the results is a part of the same turn there.
 */
function isUnprovenToolLoop(messages: readonly ChatMessage[]): boolean {
  const last = messages.findLastIndex((message) => message.role === 'assistant')
  // Turns of the assistant that follow each other are one there.
  const first = messages.findLastIndex((message, index) => index < last && message.role !== 'assistant') + 1
  const turn = messages.slice(first, last + 1).filter((message) => message.role === 'assistant')
  const hasCalls = turn.some((message) => message.toolCalls.length > 0)
  return hasCalls && !signatureOf('anthropic', turn[0]?.reasoningSignature)
}
