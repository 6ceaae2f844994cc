import type { GuardrailEntry } from '../../config/processors/guardrail-schema.ts'
import { isPrivateHost } from '../../lib/host-addresses.ts'
import type { Judge, Judged } from '../../processors/guardrails/judge.ts'
import { localJudge } from '../../processors/guardrails/local-judge.ts'
import { type JudgedTurn, modelJudge } from '../../processors/guardrails/model-judge.ts'
import { httpJudge, moderationsJudge, pythonJudge } from '../../processors/guardrails/service-judges.ts'
import type { ContentProcessor, ProcessorVerdict } from '../../sdk/processor.ts'
import { jsonPoster } from './post-json.ts'

type Service = NonNullable<GuardrailEntry['service']>

/** Calls a model of the router for the processed request; resolves to the model's text. */
export interface ModelQuestion {
  /** Name of the model. */
  readonly model: string
  readonly turns: readonly JudgedTurn[]
  readonly signal: AbortSignal
}

export type AskRouterModel = (question: ModelQuestion) => Promise<string>

/** Creates the processor of a guardrail for one request, or for all if it calls no model. Its entry has been validated. */
export function guardrail(entry: GuardrailEntry): (ask: AskRouterModel) => ContentProcessor {
  const { words = [], expressions = [], service, action, on = 'request' } = entry
  const replacement = action === 'replace' ? (entry.replacement ?? '[removed]') : undefined
  const isLocal = words.length + expressions.length > 0
  const local = isLocal ? [localJudge({ words, expressions, replacement })] : []
  const judgesFor = (ask: AskRouterModel): Judge[] => (service ? [...local, judgeOf(service, ask)] : local)
  return (ask) => {
    const judges = judgesFor(ask)
    const judge = async (judged: Judged): Promise<ProcessorVerdict> => {
      if (judged.contents.every((text) => text.trim() === '')) return { type: 'pass' }
      const verdict = await judgeInOrder(judges, judged)
      const isUnsafe = verdict.type === 'block' || verdict.type === 'replace'
      return action === 'flag' && isUnsafe ? { type: 'flag' } : verdict
    }
    const request: ContentProcessor['request'] = (contents, { signal }) =>
      judge({ contents, before: undefined, prompt: '', signal })
    const response: ContentProcessor['response'] = (contents, { before, asked, signal }) =>
      judge({ contents, before, prompt: asked, signal })
    return { ...(on !== 'response' && { request }), ...(on !== 'request' && { response }) }
  }
}

/** Whether a guardrail never changes what it judges. */
export function onlyJudges({ action, service }: GuardrailEntry): boolean {
  return action === 'flag' || (action !== 'replace' && service?.type !== 'http')
}

/** Guardrails that must not see unmasked values judge before values are restored. */
export function answerStageOf({ before, service, unmasked }: GuardrailEntry): 'early' | 'late' {
  if (before === 'unmasking') return 'early'
  const isOutside =
    service?.type === 'model' || (service?.url !== undefined && !isPrivateHost(new URL(service.url).hostname))
  return isOutside && unmasked !== true ? 'early' : 'late'
}

/** Runs sequentially, each on the contents of the previous one; the first that blocks decides. */
async function judgeInOrder(judges: readonly Judge[], judged: Judged): Promise<ProcessorVerdict> {
  let found: ProcessorVerdict = { type: 'pass' }
  let { contents } = judged
  for (const judge of judges) {
    const verdict = await judge({ ...judged, contents })
    if (verdict.type === 'block') return verdict
    if (verdict.type === 'replace') {
      if (verdict.contents.length !== contents.length)
        throw new Error('the number of returned contents differs')
      contents = verdict.contents
      found = { type: 'replace', contents }
    } else if (verdict.type === 'flag' && found.type === 'pass') found = verdict
  }
  return found
}

function judgeOf({ type, url = '', model = '', api_token: token }: Service, ask: AskRouterModel): Judge {
  const post = jsonPoster(token)
  switch (type) {
    case 'http':
      return httpJudge(url, post)
    case 'moderations':
      return moderationsJudge(url, model === '' ? undefined : model, post)
    case 'nask_guard':
    case 'sojka_guard':
      return pythonJudge(type, url, post)
    case 'model':
      return modelJudge((turns, signal) => ask({ model, turns, signal }))
  }
}
