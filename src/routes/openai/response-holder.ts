import type { FastifyInstance, FastifyRequest } from 'fastify'
import { allTargets, type Target } from '../../sdk/target.ts'

export type Responses = ReturnType<FastifyInstance['rights']['responses']>
export type StoredResponse = NonNullable<Awaited<ReturnType<Responses['find']>>>
export type ResponseHolder = NonNullable<StoredResponse['heldBy']>

/** An id that is safe in a path, as all servers create them. */
const idForm = /^[\w-]{1,256}$/

/** What the router remembers of a response that a server stores; undefined if the server did not report a usable id. */
export function holderRecord(request: FastifyRequest, askedModel: string): StoredResponse | undefined {
  const { answeringModel, model = askedModel, target, answerId } = request.exchange
  if (target === undefined || answerId === undefined || !idForm.test(answerId)) return undefined
  return { response: {}, input: [], heldBy: { model: answeringModel ?? model, target, askedModel } }
}

/** The target that stores a response, if it still exists and the client may use its model. */
export function holderOf(
  app: FastifyInstance,
  request: FastifyRequest,
  { model: alias, target: id }: ResponseHolder,
): Target | undefined {
  const model = app.rights.models(request).find(alias)
  return model && allTargets(model).find((target) => target.id === id && target.paths.responses !== undefined)
}
