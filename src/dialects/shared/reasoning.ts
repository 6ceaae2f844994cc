import type { ReasoningEffort } from '../../sdk/chat.ts'
import type { Flavour } from '../../sdk/dialect.ts'
import { badRequest } from '../../sdk/errors.ts'
import { isAbsent } from './sampling.ts'

/** Lowest first. */
const levels = [
  'none',
  'minimal',
  'low',
  'medium',
  'high',
  'xhigh',
  'max',
] as const satisfies ReasoningEffort[]

/** A level of OpenAI's APIs; `param` is its name in the body. Throws `bad_request`. */
export function readEffort(effort: unknown, param: string): ReasoningEffort | undefined {
  if (isAbsent(effort)) return undefined
  const known = levels.find((level) => level === effort)
  if (!known) throw badRequest(`'${param}' must be one of ${levels.join(', ')}`, param)
  return known
}

/** Ollama's `think`: a switch for most models, a level for some. Throws `bad_request`. */
export function readThink(think: unknown): ReasoningEffort | undefined {
  if (isAbsent(think) || think === '') return undefined
  if (think === true) return 'on'
  if (think === false) return 'none'
  const known = levels.find((level) => level === think)
  if (!known) throw badRequest('\'think\' must be true, false, "low", "medium", "high" or "max"', 'think')
  return known
}

/**
 * The level to send to a server of OpenAI's APIs: the one asked for, else the nearest that the server knows; of two equally
 * near, the higher. `why` is set where that is not what was meant.
 */
export function effortOn(
  { reasoningEfforts: known }: Flavour,
  effort: ReasoningEffort | undefined,
): { level: string | undefined; why?: string } {
  const wanted = effort === 'on' ? 'medium' : effort
  if (wanted === undefined || !known || known.includes(wanted)) return { level: wanted }
  const distance = (level: (typeof levels)[number]): number => {
    return Math.abs(levels.indexOf(level) - levels.indexOf(wanted))
  }
  // "none" disables reasoning, so it cannot replace another level.
  const [level] = levels
    .filter((each) => each !== 'none' && known.includes(each))
    .toReversed()
    .toSorted((one, other) => distance(one) - distance(other))
  if (level === undefined && wanted === 'none') return { level }
  if (level === undefined) return { level, why: 'the upstream has no levels of reasoning' }
  if (wanted !== 'none') return { level }
  return { level, why: 'the upstream cannot disable reasoning; its lowest level was requested' }
}
