import type { FastifyInstance, FastifyRequest } from 'fastify'
import type { Usage } from '../../sdk/chat.ts'
import { allTargets, type Target } from '../../sdk/target.ts'

export type Responses = ReturnType<FastifyInstance['rights']['responses']>
export type StoredResponse = NonNullable<Awaited<ReturnType<Responses['find']>>>
export type ResponseHolder = NonNullable<StoredResponse['heldBy']>

/** An id that is safe in a path, as all servers create them. */
const idForm = /^[\w-]{1,256}$/

/**
 * The key of a record about a response that a server stores. Not the id itself: routers of version 1.0 on the same Redis would
 * take the record for an empty response, and continue the conversation without its history.
 */
const recordKey = (id: string): string => `held:${id}`

/** The server that stores a response; undefined if the router does not remember one. */
export async function findHolder(responses: Responses, id: string): Promise<ResponseHolder | undefined> {
  return (await responses.find(recordKey(id)))?.heldBy
}

/** Remembers the server that stores the response, if it reported a usable id. */
export async function putHolder(
  responses: Pick<Responses, 'put'>,
  request: FastifyRequest,
  { askedModel, isUncounted }: Pick<ResponseHolder, 'askedModel' | 'isUncounted'>,
): Promise<void> {
  const { answeringModel, model = askedModel, target, answerId } = request.exchange
  if (target === undefined || answerId === undefined || !idForm.test(answerId)) return
  const heldBy = {
    model: answeringModel ?? model,
    target,
    askedModel,
    ...(isUncounted ? { isUncounted } : {}),
  }
  await responses.put(recordKey(answerId), { response: {}, input: [], heldBy })
}

/** Counts the tokens of a background response for the first request that returns them. */
export async function countHeldUsage(
  responses: Responses,
  { exchange }: FastifyRequest,
  id: string,
  { isUncounted, ...holder }: ResponseHolder,
  usage: Usage | undefined,
): Promise<void> {
  if (!isUncounted || !usage) return
  exchange.model = holder.model
  exchange.addUsage(usage)
  await responses.put(recordKey(id), { response: {}, input: [], heldBy: holder })
}

export async function removeHolder(responses: Responses, id: string): Promise<void> {
  await responses.remove(recordKey(id))
}

/**
 * The target that stores a response, if it still exists and the client may use its model, under whatever name. Undefined if
 * processors apply to the model by now, because the server would return the response without them.
 */
export function holderOf(
  { models, processors, rights }: FastifyInstance,
  { client }: FastifyRequest,
  { model: alias, target: id }: ResponseHolder,
): Target | undefined {
  const model = models.find(alias)
  if (!model || (client && !rights.mayUse(client, model.alias))) return undefined
  if (processors.namesFor([model.alias], client).length > 0) return undefined
  return allTargets(model).find((target) => target.id === id && target.paths.responses !== undefined)
}
