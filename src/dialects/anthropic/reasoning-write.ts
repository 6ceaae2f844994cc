import type { JsonObject } from '../../lib/json/read.ts'
import type { ChatMessage, ChatRequest, ReasoningEffort } from '../../sdk/chat.ts'
import type { Drop } from '../../sdk/dialect.ts'
import { signatureOf } from '../shared/signatures.ts'

export interface WrittenReasoning {
  /** The member `thinking`; undefined for the server's default. */
  thinking: JsonObject | undefined
  /** `output_config.effort`, where the level is named instead of counted. */
  effort: string | undefined
  /** Tokens for thoughts, a part of `max_tokens`. */
  budget: number
  /** Whether the model thinks, which rules out some sampling values. */
  on: boolean
}

const off: WrittenReasoning = { thinking: undefined, effort: undefined, budget: 0, on: false }

/** Anthropic API reference, "Extended thinking". */
const leastBudget = 1_024

/** Writes the level of reasoning as a token budget; only adaptive models know the levels above `high`. */
export function writeReasoning(request: ChatRequest, drop: Drop): WrittenReasoning {
  const { reasoningEffort: effort, reasoningBudget: asked } = request
  if (effort === undefined && asked === undefined) return off
  if (effort === 'none') return { ...off, thinking: { type: 'disabled' } }
  const obstacle = obstacleTo(request)
  if (obstacle) {
    drop('reasoning_effort', obstacle)
    return off
  }
  if (asked === undefined && (effort === 'xhigh' || effort === 'max')) {
    return { thinking: { type: 'adaptive' }, effort, budget: 0, on: true }
  }
  const budget = Math.max(asked ?? budgetOf(effort), leastBudget)
  return { thinking: { type: 'enabled', budget_tokens: budget }, effort: undefined, budget, on: true }
}

/** `max_tokens` must exceed the budget; where it does not, it is taken as the limit of the text alone. */
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
function obstacleTo({ tools, toolChoice, messages }: ChatRequest): string | undefined {
  if (tools.length > 0 && (toolChoice === 'required' || typeof toolChoice === 'object')) {
    return 'Anthropic cannot think before a tool call that is forced'
  }
  return isUnprovenToolLoop(messages)
    ? 'Anthropic continues thinking after a tool call only from thoughts that it has signed'
    : undefined
}

/** The turn whose calls are being answered must begin with its thoughts, signed by the upstream. */
function isUnprovenToolLoop(messages: readonly ChatMessage[]): boolean {
  if (messages.at(-1)?.role !== 'tool') return false
  const caller = messages.findLast((message) => message.role === 'assistant')
  return caller !== undefined && signatureOf('anthropic', caller.reasoningSignature) === undefined
}
