import { booleanOf, type JsonObject, numberOf, present, textOf } from '../../../lib/json/read.ts'
import type { ChatRequest, ReasoningEffort } from '../../../sdk/chat.ts'
import type { Drop } from '../../../sdk/dialect.ts'
import { memberOf, objectIn } from '../members.ts'
import { generationOf } from '../signatures.ts'

const levels: readonly ReasoningEffort[] = ['minimal', 'low', 'medium', 'high', 'xhigh']

/** `thinkingConfig`: a level, or a budget, where 0 disables thinking and -1 lets the model decide. */
export function readReasoning(config: JsonObject): Pick<ChatRequest, 'reasoningEffort' | 'reasoningBudget'> {
  const thinking = objectIn(config, 'thinkingConfig')
  if (!thinking) return {}
  const level = textOf(memberOf(thinking, 'thinkingLevel'))?.toLowerCase()
  const known = levels.find((each) => each === level)
  if (known) return { reasoningEffort: known }
  const budget = numberOf(memberOf(thinking, 'thinkingBudget'))
  if (budget === 0) return { reasoningEffort: 'none' }
  if (budget !== undefined && budget > 0)
    return { reasoningEffort: effortOf(budget), reasoningBudget: budget }
  return budget !== undefined || asksForThoughts(config) ? { reasoningEffort: 'on' } : {}
}

/** Whether a client requests thoughts, which are omitted by default. */
export function asksForThoughts(config: JsonObject): boolean {
  const thinking = objectIn(config, 'thinkingConfig')
  return thinking !== undefined && booleanOf(memberOf(thinking, 'includeThoughts')) === true
}

/** As {@link budgets} writes it. */
function effortOf(budget: number): ReasoningEffort {
  if (budget <= budgets.minimal) return 'minimal'
  if (budget <= budgets.low) return 'low'
  return budget <= budgets.medium ? 'medium' : 'high'
}

/** Source: Gemini API documentation, "OpenAI compatibility", on reasoning. */
const budgets = { minimal: 512, low: 1_024, medium: 8_192, high: 24_576 }
/** Models of the Pro series cannot stop thinking. Source: Gemini API documentation, "Thinking". */
const leastOfPro = 128

/**
 * Writes how much to think: Gemini 3 has levels, the generations before it budgets. Thoughts are asked for, as clients of other
 * dialects expect to see them.
 */
export function writeReasoning(
  { reasoningEffort: effort, reasoningBudget: budget }: ChatRequest,
  model: string,
  drop: Drop,
): JsonObject | undefined {
  if (effort === undefined && budget === undefined) return undefined
  const generation = generationOf(model)
  const counts = generation === 1 || generation === 2
  if (effort === 'none') {
    if (counts && !/pro/.test(model)) return { thinkingBudget: 0 }
    drop('reasoning_effort', 'this model cannot disable reasoning; its lowest level was requested')
    return counts ? { thinkingBudget: leastOfPro } : { thinkingLevel: /pro/.test(model) ? 'low' : 'minimal' }
  }
  const level = levelOf(effort)
  const amount = counts
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
