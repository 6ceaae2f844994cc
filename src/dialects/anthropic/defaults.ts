import { isObject, type JsonObject, numberOf } from '../../lib/json/read.ts'
import type { Flavour } from '../../sdk/dialect.ts'
import { fillMissing, translateDefaults } from '../shared/defaults.ts'
import { isAbsent } from '../shared/sampling.ts'
import { roomFor } from './reasoning-write.ts'
import { sampling, thinkingVeto } from './sampling.ts'

/** Anthropic requires a limit; this one is taken where neither the client nor the operator names one. */
const standardLimit = 4_096

/** Members that operators set for servers of the other dialects, and that Anthropic refuses. */
const unknownHere: ReadonlySet<string> = new Set([
  'user',
  'stream_options',
  'response_format',
  'reasoning_effort',
  'keep_alive',
  'num_ctx',
  'think',
  'format',
])

/** The operator's defaults for what the body leaves out, as the members to set; `max_tokens` in any case. */
export function missingDefaults(body: JsonObject, defaults: JsonObject, flavour: Flavour = {}): JsonObject {
  const veto = thinks(body) ? { veto: thinkingVeto } : {}
  const translated = translateDefaults(sampling, body, defaults, { flavour, ...veto })
  const others = Object.entries(translated.others).filter(([name]) => !unknownHere.has(name))
  const members = fillMissing(body, { ...translated.sampling, ...Object.fromEntries(others) })
  return { ...members, ...limitFor(body, members.max_tokens) }
}

function thinks({ thinking }: JsonObject): boolean {
  return isObject(thinking) && thinking.type !== 'disabled'
}

/** An operator's limit is the model's own, so thoughts come out of it where they can. */
function limitFor(body: JsonObject, configured: unknown): JsonObject {
  if (!isAbsent(body.max_tokens)) return {}
  const budget = isObject(body.thinking) ? (numberOf(body.thinking.budget_tokens) ?? 0) : 0
  const limit = numberOf(configured) ?? 0
  return { max_tokens: limit < 1 ? standardLimit + budget : roomFor(budget, limit) }
}
