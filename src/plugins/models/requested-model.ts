import type { FastifyInstance, FastifyRequest } from 'fastify'

interface RequestedName {
  /** Undefined if the request names no model. */
  name: unknown
  /** Method in a path such as `/v1beta/models/demo:generateContent`. */
  method: string | undefined
}

/**
 * The model name in a request, before its route has read it. A path that names a model and a method takes precedence: Gemini's
 * clients may repeat the name in the body, as `models/demo`.
 */
export function requestedName({ body, params }: Pick<FastifyRequest, 'body' | 'params'>): RequestedName {
  const { model, model_name: olderName }: Record<string, unknown> = Object(body)
  const { model: parameter, '*': rest }: Record<string, unknown> = Object(params)
  const [, inPath, method] = typeof rest === 'string' ? (/^(.*):(\w+)$/.exec(rest) ?? []) : []
  const name = inPath ?? [model, olderName, parameter, rest].find((each) => typeof each === 'string')
  return { name, method }
}

/** Alias of the model that a request names; undefined if its client has no such model. */
export function requestedModel(app: FastifyInstance, request: FastifyRequest): string | undefined {
  const { name } = requestedName(request)
  return typeof name === 'string' ? app.rights.models(request).findLoosely(name)?.alias : undefined
}
