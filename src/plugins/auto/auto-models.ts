import type { FastifyInstance, FastifyRequest } from 'fastify'
import { autoName } from '../../config/auto/read.ts'
import type { Model } from '../../sdk/target.ts'
import type { Models } from '../auth/client-view.ts'

/**
 * The models of a client, including `auto` if the client may use at least one of its candidates. `auto` resolves to the model chosen
 * for the request, or to the first candidate before the choice. A configured model named `auto` takes precedence.
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

/** The listed models that a client may use, without duplicates. */
export function autoModels(own: Pick<Models, 'find'>, names: readonly string[]): Model[] {
  const found = names.map((name) => own.find(name)).filter((model) => model !== undefined)
  return [...new Set(found)]
}

/** Whether a name refers to `auto`, in any spelling of the dialects. */
export function isAuto(name: unknown): boolean {
  return typeof name === 'string' && /^auto(?::latest)?$/i.test(name)
}
