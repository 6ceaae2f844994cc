import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import type { JsonScan } from '../../lib/json/splice.ts'
import { answerHeaders } from '../../relay/answer/answer-headers.ts'
import { answerEmbedding, maxConcurrentParts } from '../../relay/run/embedding.ts'
import { badRequest } from '../../sdk/errors.ts'
import type { UpstreamCost } from '../auth/request-cost.ts'
import type { Processing } from '../processors/processing.ts'
import { membersOf, resolveModel, scanOf } from './request-parts.ts'

/** The router splits the request, so all parts count as one request; concurrent parts take one slot each. */
export function embeddingCost(app: FastifyInstance, request: FastifyRequest): UpstreamCost | undefined {
  const body = membersOf(request)
  const name = body.model ?? body.model_name
  const model = typeof name === 'string' ? app.rights.models(request).findLoosely(name) : undefined
  if (!model) return undefined
  const promptBytes = request.exchange.receivedBytes
  return { requests: 1, atOnce: maxConcurrentParts(model, body), promptBytes, maxTokens: undefined }
}

/** Answers an embeddings request in the client's dialect. `named`: the model, if the path names it. */
export async function embed(
  app: FastifyInstance,
  { dialect, named }: { dialect: string; named: string | undefined },
  request: FastifyRequest,
  reply: FastifyReply,
): Promise<FastifyReply> {
  const { rawBody, exchange } = request
  const body = membersOf(request)
  const { alias, model } = resolveModel(app, dialect, request, named === undefined ? body : { model: named })
  if (!rawBody) throw badRequest('The request has no body')
  const processing = app.processors.begin(request, model)
  const processed = processing && (await processedBody(app, dialect, rawBody.bytes, processing))
  const others = app.rights
    .models(request)
    .listed()
    .flatMap((each) => (each.embedding ? [each.alias] : []))
  const atOnce = request.limitUse?.slots
  const read = { dialect: app.dialects.get(dialect), alias, model, others, atOnce }
  const client = { ...read, ...rawBody, body, ...processed }
  const services = app.gateway.services(request)
  const cache = app.answerCache.begin(request, reply, model)
  const answer = await (cache ? cache.embedding(client, services) : answerEmbedding(client, services))
  const { headers = { 'content-type': 'application/json' } } = answer
  return reply.headers({ ...answerHeaders(exchange), ...headers }).send(answer.body)
}

async function processedBody(
  app: FastifyInstance,
  dialect: string,
  received: Buffer,
  processing: Processing,
): Promise<{ bytes: Buffer; scan: JsonScan; body: Record<string, unknown> }> {
  const shape = app.dialects.get(dialect).contents?.requests.embedding
  const bytes = await processing.processBody(received, shape, 'embedding')
  return { bytes, scan: scanOf(bytes), body: JSON.parse(bytes.toString()) }
}
