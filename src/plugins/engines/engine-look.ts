import { parseJson } from '../../lib/json/read.ts'
import { askEngine, type EngineAsking } from '../../relay/upstream/ask-engine.ts'
import { isSuccess } from '../../relay/upstream/upstream-answer.ts'
import type { EngineState } from '../../sdk/engine-listings.ts'
import type { Target } from '../../sdk/target.ts'

/** Requests the model list of a target's server. `answered`: it responded, with or without a list. Never rejects. */
export async function lookAtEngine(
  target: Target,
  asking: EngineAsking,
): Promise<{ answered: boolean; timedOut: boolean; state: EngineState | undefined }> {
  let answered = false
  let timedOut = false
  for (const listing of target.listings ?? []) {
    const { status, text, ...answer } = await askEngine(target, listing, asking)
    // After a 5xx, the server may have a list later.
    answered ||= status !== undefined && status < 500
    timedOut ||= answer.timedOut
    const isList = status !== undefined && isSuccess(status) && text !== undefined
    const state = isList ? listing.read(parseJson(text)) : undefined
    if (state) return { answered, timedOut, state }
  }
  return { answered, timedOut, state: undefined }
}
