import { filledTextOf, isObject, objectsIn, parseJson } from '../../lib/json/read.ts'
import type { Target } from '../../sdk/target.ts'
import { askEngine, type EngineAnswer, type EngineRequestOptions } from './ask-engine.ts'
import { isSuccess } from './upstream-answer.ts'

export type EngineAction = 'load' | 'unload'

/** `unsupported`: the engine manages its memory itself. `failed`: with its HTTP status, if it responded. */
export type EngineResult =
  | { readonly type: 'done' }
  | { readonly type: 'unsupported' }
  | { readonly type: 'failed'; readonly status: number | undefined }

const unsupported: EngineResult = { type: 'unsupported' }

/** Whether the target's engine may support this command. */
export function acceptsCommands({ type }: Target): boolean {
  return type.engine === 'ollama' || type.engine === 'llamacpp' || type.engine === 'lmstudio'
}

/**
 * Makes the engine of a target load or unload its model, and waits until it has done so. Sources: Ollama API
 * reference, "Load a model"; llama.cpp, tools/server/README.md, "Using multiple models"; LM Studio, REST API, "Load a model".
 */
export async function commandEngine(
  target: Target,
  action: EngineAction,
  options: EngineRequestOptions,
): Promise<EngineResult> {
  const { upstreamModel: model, defaults } = target
  const root = target.rootPath ?? ''
  const send = async (path: string, body: object): Promise<EngineResult> =>
    resultOf(await askEngine(target, { path: root + path, body }, options))
  switch (target.type.engine) {
    case 'ollama': {
      const { keep_alive, options } = defaults
      const keepAlive = action === 'unload' ? 0 : keep_alive
      const settings = { ...(keepAlive === undefined ? {} : { keep_alive: keepAlive }) }
      // A context length other than that of its requests would make the engine reload the model.
      const context = action === 'load' && isObject(options) ? { options } : {}
      return send('/api/generate', { model, stream: false, ...settings, ...context })
    }
    case 'llamacpp':
      return send(`/models/${action}`, { model })
    case 'lmstudio':
      if (action === 'load') return send('/api/v1/models/load', { model })
      return unloadInstances(target, root, options, send)
    default:
      return unsupported
  }
}

/** LM Studio unloads instances, of which a model may have several. */
async function unloadInstances(
  target: Target,
  root: string,
  options: EngineRequestOptions,
  send: (path: string, body: object) => Promise<EngineResult>,
): Promise<EngineResult> {
  const list = await askEngine(target, { path: `${root}/api/v1/models` }, options)
  const result = resultOf(list)
  if (result.type !== 'done') return result
  const answer = parseJson(list.text ?? '')
  const models = objectsIn(isObject(answer) ? answer.models : undefined)
  const found = models.filter(
    ({ key, loaded_instances: instances }) =>
      key === target.upstreamModel || objectsIn(instances).some(({ id }) => id === target.upstreamModel),
  )
  const ids = found.flatMap(({ loaded_instances: instances }) =>
    objectsIn(instances).flatMap(({ id }) => filledTextOf(id) ?? []),
  )
  const results = await Promise.all(ids.map((id) => send('/api/v1/models/unload', { instance_id: id })))
  return results.find(({ type }) => type !== 'done') ?? { type: 'done' }
}

/** A server without the path does not support commands: llama.cpp has them in router mode only. */
function resultOf({ status, text }: EngineAnswer): EngineResult {
  if (status !== undefined && isSuccess(status)) return { type: 'done' }
  const isUnknownPath = status === 404 || status === 405 || status === 501
  if (isUnknownPath && !/model[^"]{0,120}not found/i.test(text ?? '')) return unsupported
  return { type: 'failed', status }
}
