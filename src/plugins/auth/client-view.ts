import type { FastifyInstance } from 'fastify'
import type { ClientKey } from '../../sdk/client-key.ts'
import type { ResponseStore } from '../../stores/responses/store.ts'

export type Responses = Pick<ResponseStore, 'announce' | 'find' | 'put' | 'remove'>
export type Models = Pick<FastifyInstance['models'], 'listed' | 'find' | 'findLoosely'>

/**
 * Models that a key may not use are hidden from it like unknown ones, so that it does not learn their names. A key that
 * lists a model may call it by its aliases; a key that lists an alias, by that alias.
 */
export function modelsOf(app: FastifyInstance, { mayUse }: ClientKey): Models {
  // Patterns are matched against configured names: a client's spelling could match a pattern that the model's name does not.
  const allowed = (name: string, model: ReturnType<Models['find']>) =>
    model && (mayUse(model.alias) || mayUse(app.models.canonicalName(name) ?? model.alias))
      ? model
      : undefined
  return {
    listed: () => app.models.listed().filter(({ alias }) => allowed(alias, app.models.find(alias))),
    find: (name) => allowed(name, app.models.find(name)),
    findLoosely: (name) => allowed(name, app.models.findLoosely(name)),
  }
}

export function mayUseModel(app: FastifyInstance, { mayUse }: ClientKey, model: string): boolean {
  return mayUse(model) || app.models.aliasesOf(model).some(mayUse)
}

/** Stored responses of one client. Those of other clients are reported as not found. */
export function ownedResponses(store: Responses, client: string): Responses {
  const own = (id: string): string => `${client}/${id}`
  return {
    ...(store.announce ? { announce: async (id: string) => store.announce?.(own(id)) } : {}),
    find: (id) => store.find(own(id)),
    put: (id, stored) => store.put(own(id), stored),
    remove: (id) => store.remove(own(id)),
  }
}
