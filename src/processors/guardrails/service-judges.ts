import { isObject, objectsIn } from '../../lib/json/read.ts'
import type { PostJson } from '../masking/presidio.ts'
import type { Judge } from './judge.ts'

/** A service of one's own: `{"contents": [...]}`, answered with `{"safe": true}` or `{"safe": false}`. */
export function httpJudge(url: string, post: PostJson): Judge {
  return async (contents, signal) => verdict(await post(url, { contents }, signal))
}

/**
 * The guardrail services of the Python llm-router, `POST /api/guardrails/<name>` with a payload of messages, answered with
 * `{"results": {"safe": true, "detailed": [...]}}`.
 */
export function pythonJudge(name: 'nask_guard' | 'sojka_guard', url: string, post: PostJson): Judge {
  const address = `${url.replace(/\/+$/, '')}/api/guardrails/${name}`
  return async (contents, signal) => {
    const messages = contents.map((content) => ({ role: 'user', content }))
    const answer = await post(address, { messages }, signal)
    return verdict(isObject(answer) ? answer.results : undefined)
  }
}

/** OpenAI's moderations, and what speaks like them. Source: OpenAI API reference, "Create moderation". */
export function moderationsJudge(url: string, model: string | undefined, post: PostJson): Judge {
  return async (contents, signal) => {
    const body = { input: contents, ...(model === undefined ? {} : { model }) }
    const answer = await post(url, body, signal)
    const results = isObject(answer) ? objectsIn(answer.results) : []
    const flags = results.map(({ flagged }) => flagged)
    if (flags.length < contents.length || !flags.every((flag) => typeof flag === 'boolean'))
      throw new Error('the moderations are not those of all contents')
    return flags.includes(true) ? 'unsafe' : 'safe'
  }
}

function verdict(answer: unknown): 'safe' | 'unsafe' {
  const safe = isObject(answer) ? answer.safe : undefined
  if (typeof safe !== 'boolean') throw new Error('the service gave no verdict')
  return safe ? 'safe' : 'unsafe'
}
