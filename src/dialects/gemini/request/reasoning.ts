import { booleanOf, type JsonObject, numberOf, present, textOf } from '../../../lib/json/read.ts'
import type { ChatRequest, ReasoningEffort } from '../../../sdk/chat.ts'
import type { Drop } from '../../../sdk/write-options.ts'
import { memberOf, objectIn } from '../members.ts'
import { generationOf } from '../signatures.ts'

const levels: readonly ReasoningEffort[] = ['minimal', 'low', 'medium', 'high', 'xhigh']

/** Reads `thinkingConfig`: a level, or a token budget, where 0 disables thinking and -1 lets the model decide. */
export function readReasoning(config: JsonObject): Pick<ChatRequest, 'reasoningEffort' | 'reasoningBudget'> {
  const thinking = objectIn(config, 'thinkingConfig')
  if (!thinking) return {}
  const level = textOf(memberOf(thinking, 'thinkingLevel'))?.toLowerCase()
  const effort = levels.find((candidate) => candidate === level)
  if (effort) return { reasoningEffort: effort }
  const budget = numberOf(memberOf(thinking, 'thinkingBudget'))
  if (budget === 0) return { reasoningEffort: 'none' }
  if (budget !== undefined && budget > 0)
    return { reasoningEffort: effortOf(budget), reasoningBudget: budget }
  return budget !== undefined || requestsThoughts(config) ? { reasoningEffort: 'on' } : {}
}

/** Whether a client asks for thoughts, which are omitted by default. */
export function requestsThoughts(config: JsonObject): boolean {
  const thinking = objectIn(config, 'thinkingConfig')
  return thinking !== undefined && booleanOf(memberOf(thinking, 'includeThoughts')) === true
}

/** The lowest level of {@link budgets} that covers this budget. */
function effortOf(budget: number): ReasoningEffort {
  if (budget <= budgets.minimal) return 'minimal'
  if (budget <= budgets.low) return 'low'
  return budget <= budgets.medium ? 'medium' : 'high'
}

/** In tokens. Source: Gemini API documentation, "OpenAI compatibility", on reasoning. */
const budgets = { minimal: 512, low: 1_024, medium: 8_192, high: 24_576 }
/** Models of the Pro series cannot disable thinking. Source: Gemini API documentation, "Thinking". */
const minProBudgetTokens = 128

/**
 * Writes `thinkingConfig`: a level for Gemini 3, a budget for earlier generations. Thoughts are requested, because clients of
 * other dialects expect them.
 */
export function writeReasoning(
  { reasoningEffort: effort, reasoningBudget: budget }: ChatRequest,
  model: string,
  drop: Drop,
): JsonObject | undefined {
  if (effort === undefined && budget === undefined) return undefined
  const generation = generationOf(model)
  const hasBudgets = generation === 1 || generation === 2
  if (effort === 'none') {
    if (hasBudgets && !/pro/.test(model)) return { thinkingBudget: 0 }
    drop('reasoning_effort', 'this model cannot disable reasoning; its lowest level was requested')
    if (hasBudgets) return { thinkingBudget: minProBudgetTokens }
    return { thinkingLevel: /pro/.test(model) ? 'low' : 'minimal' }
  }
  const level = levelOf(effort)
  const amount = hasBudgets
    ? present({ thinkingBudget: budget ?? (level && budgets[level]) })
    : present({ thinkingLevel: level })
  return { includeThoughts: true, ...amount }
}

function levelOf(effort: ReasoningEffort | undefined): keyof typeof budgets | undefined {
  switch (effort) {
    case 'minimal':
    case 'low':
    case 'medium':
      return effort
    case 'high':
    case 'xhigh':
    case 'max':
      return 'high'
    default:
      return undefined
  }
}
