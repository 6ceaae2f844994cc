import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { isZeroDuration, loadAnswer } from '../../dialects/ollama/generate.ts'
import { answerHeaders } from '../../relay/answer/answer-headers.ts'
import type { ClientRequest } from '../../relay/request/client-request.ts'
import { loadModel } from '../../relay/run/load.ts'

export interface LoadOptions {
  keepAlive: unknown
  /** Determines the form of the response. */
  endpoint: 'chat' | 'generate'
}

/** Loads the model of a request into the memory of its servers, or unloads it, and answers as Ollama does. */
export async function load(
  app: FastifyInstance,
  client: ClientRequest,
  { keepAlive, endpoint }: LoadOptions,
  { request, reply }: { request: FastifyRequest; reply: FastifyReply },
): Promise<FastifyReply> {
  const action = isZeroDuration(keepAlive) ? 'unload' : 'load'
  const processing = app.processors.begin(request, client.model)
  const processed = processing ? await processing.processClientRequest(client) : client
  await loadModel(processed, action, app.gateway.services(request))
  reply.headers(answerHeaders(request.exchange))
  const answer = loadAnswer(client.alias, new Date(), action, endpoint)
  if (!client.stream) return reply.send(answer)
  return reply.type('application/x-ndjson').send(`${JSON.stringify(answer)}\n`)
}
