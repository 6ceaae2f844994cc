import type { FastifyInstance, FastifyRequest } from 'fastify'
import { type JsonScan, scanObject } from '../../lib/json/splice.ts'
import { aliasOf } from '../../relay/request/client-request.ts'
import { badRequest, modelNotFound } from '../../sdk/errors.ts'
import type { Model } from '../../sdk/target.ts'

/**
 * Resolves the model that a body names; `model` takes precedence over the legacy `model_name`. Throws `bad_request` and
 * `model_not_found`.
 */
export function resolveModel(
  app: FastifyInstance,
  dialect: string,
  request: FastifyRequest,
  body: Record<string, unknown>,
): { alias: string; model: Model } {
  const alias = aliasOf(body)
  const { exchange } = request
  const models = app.rights.models(request)
  exchange.dialect = dialect
  const model = dialect === 'ollama' ? models.findLoosely(alias) : models.find(alias)
  if (!model) throw modelNotFound(alias.slice(0, 256))
  exchange.requestedName = alias
  exchange.model = model.alias
  return { alias, model }
}

export function membersOf({ body }: FastifyRequest): Record<string, unknown> {
  return body as Record<string, unknown> // validated by the route's schema
}

/** Throws `bad_request` for anything but a JSON object. */
export function scanOf(bytes: Buffer): JsonScan {
  const scan = scanObject(bytes)
  if (!scan) throw badRequest('The body must be a JSON object')
  return scan
}
