import type { FastifyInstance, FastifyRequest } from 'fastify'
import { autoName } from '../../config/auto/read.ts'
import type { Model } from '../../sdk/target.ts'
import type { Models } from '../auth/client-view.ts'

/**
 * The models of a client with `auto` among them, where it may use one that `auto` chooses from. `auto` is then the model that was
 * chosen for the request, or the first one before that. A configured model of this name is used as it is.
 */
export function withAuto(app: FastifyInstance, own: Models, request: FastifyRequest): Models {
  const { autoModel } = app.models.loading()
  if (!autoModel || app.models.findLoosely(autoName)) return own
  const current = (): Model | undefined => request.autoChoice?.model ?? autoModels(own, autoModel.models)[0]
  return {
    listed: () => {
      const model = autoModels(own, autoModel.models)[0]
      return model ? [...own.listed(), { ...model, alias: autoName }] : own.listed()
    },
    find: (name) => (name === autoName ? current() : own.find(name)),
    findLoosely: (name) => (isAuto(name) ? current() : own.findLoosely(name)),
  }
}

/** The models of a list that a client may use, each once. */
export function autoModels(own: Pick<Models, 'find'>, names: readonly string[]): Model[] {
  const found = names.map((name) => own.find(name)).filter((model) => model !== undefined)
  return [...new Set(found)]
}

/** Whether a name means `auto` in any spelling that a dialect knows. */
export function isAuto(name: unknown): boolean {
  return typeof name === 'string' && /^auto(?::latest)?$/i.test(name)
}
