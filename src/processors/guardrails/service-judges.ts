import { withoutTrailingSlashes } from '../../lib/endpoint-paths.ts'
import { isObject, objectsIn } from '../../lib/json/read.ts'
import type { ProcessorVerdict } from '../../sdk/processor.ts'
import type { PostJson } from '../masking/presidio.ts'
import { inContext, type Judge, verdictOf } from './judge.ts'

/**
 * A user-provided service. Request: `{"contents": [...]}`, for responses with `"before": [...]`. Response: `{"safe": true}` or
 * `{"verdict": "pass"}`, which may be `block`, `flag`, and `replace` with `"contents": [...]`.
 */
export function httpJudge(url: string, post: PostJson): Judge {
  return async ({ contents, before, signal }) => {
    const answer = await post(url, { contents, ...(before && { before }) }, signal)
    if (!isObject(answer) || answer.verdict === undefined) return verdictOf(isSafe(answer))
    const { verdict, contents: changed } = answer
    if (verdict === 'pass' || verdict === 'block' || verdict === 'flag') return { type: verdict }
    if (verdict === 'replace' && isTexts(changed)) return { type: verdict, contents: changed }
    throw new Error('the service returned no verdict')
  }
}

function isTexts(value: unknown): value is string[] {
  return Array.isArray(value) && value.every((each) => typeof each === 'string')
}

/**
 * The guardrail services of the Python llm-router, `POST /api/guardrails/<name>` with a payload of messages, answered with
 * `{"results": {"safe": true, "detailed": [...]}}`.
 */
export function pythonJudge(name: 'nask_guard' | 'sojka_guard', url: string, post: PostJson): Judge {
  const address = `${withoutTrailingSlashes(url)}/api/guardrails/${name}`
  return async (judged) => {
    const role = judged.before ? 'assistant' : 'user'
    const messages = inContext(judged).map((content) => ({ role, content }))
    const answer = await post(address, { messages }, judged.signal)
    return verdictOf(isSafe(isObject(answer) ? answer.results : undefined))
  }
}

/** OpenAI-compatible moderations. Source: OpenAI API reference, "Create moderation". */
export function moderationsJudge(url: string, model: string | undefined, post: PostJson): Judge {
  return async (judged): Promise<ProcessorVerdict> => {
    const input = inContext(judged)
    const answer = await post(url, { input, ...(model === undefined ? {} : { model }) }, judged.signal)
    const results = isObject(answer) ? objectsIn(answer.results) : []
    const flags = results.map(({ flagged }) => flagged)
    if (flags.length < input.length || !flags.every((flag) => typeof flag === 'boolean'))
      throw new Error('the moderations are not those of all contents')
    return verdictOf(!flags.includes(true))
  }
}

function isSafe(answer: unknown): boolean {
  const safe = isObject(answer) ? answer.safe : undefined
  if (typeof safe !== 'boolean') throw new Error('the service returned no verdict')
  return safe
}
