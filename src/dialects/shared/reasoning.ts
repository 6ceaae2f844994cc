import type { ReasoningEffort } from '../../sdk/chat.ts'
import { badRequest } from '../../sdk/errors.ts'
import type { Flavour } from '../../sdk/profile.ts'
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

/** Reads a reasoning level of OpenAI's APIs. `param`: its path in the body. Throws `bad_request` for an unknown level. */
export function readEffort(effort: unknown, param: string): ReasoningEffort | undefined {
  if (isAbsent(effort)) return undefined
  const level = levels.find((level) => level === effort)
  if (!level) throw badRequest(`'${param}' must be one of ${levels.join(', ')}`, param)
  return level
}

/** Reads Ollama's `think`: a switch for most models, a level for some. Throws `bad_request` for anything else. */
export function readThink(think: unknown): ReasoningEffort | undefined {
  if (isAbsent(think) || think === '') return undefined
  if (think === true) return 'on'
  if (think === false) return 'none'
  const level = levels.find((level) => level === think)
  if (!level) throw badRequest('\'think\' must be true, false, "low", "medium", "high" or "max"', 'think')
  return level
}

/**
 * The reasoning level to send: the requested one, or the nearest that the server supports, the higher of two equally near.
 * `why` is set if that level means something else than the request.
 */
export function supportedEffort(
  { reasoningEfforts: supported }: Flavour,
  effort: ReasoningEffort | undefined,
): { level: string | undefined; why?: string } {
  const requested = effort === 'on' ? 'medium' : effort
  if (requested === undefined || !supported || supported.includes(requested)) return { level: requested }
  const distance = (level: (typeof levels)[number]): number =>
    Math.abs(levels.indexOf(level) - levels.indexOf(requested))
  // "none" disables reasoning, so it cannot replace another level.
  const [level] = levels
    .filter((candidate) => candidate !== 'none' && supported.includes(candidate))
    .toReversed()
    .toSorted((one, other) => distance(one) - distance(other))
  if (level === undefined && requested === 'none') return { level }
  if (level === undefined) return { level, why: 'the upstream has no reasoning levels' }
  if (requested !== 'none') return { level }
  return { level, why: 'the upstream cannot disable reasoning; its lowest level was requested' }
}
