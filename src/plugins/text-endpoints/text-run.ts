import type { TProperties, TSchema } from '@sinclair/typebox'
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { answerHeaders } from '../../relay/answer/answer-headers.ts'
import type { ChatMessage, ChatRequest, ChatResponse, Sampling } from '../../sdk/chat.ts'
import { upstreamFailed } from '../../sdk/errors.ts'
import type { Model, Target } from '../../sdk/target.ts'
import type { OneTextEndpoint, SharedBody } from '../../sdk/text-endpoint.ts'
import { extensionMember } from '../retrieval/sourced-client.ts'
import type { RenderedSystem } from './system-prompt.ts'
import { textChat } from './text-request.ts'

/** A validated request to any text endpoint. */
export interface TextRun {
  app: FastifyInstance
  request: FastifyRequest
  reply: FastifyReply
  body: SharedBody & Record<string, unknown>
  model: Model
  sampling: Sampling
  defaults: (target: Target) => Sampling
  system: RenderedSystem
  /** Whether to stream JSON lines instead of server-sent events. */
  wantsLines: boolean
}

export function chatOf(run: TextRun, text: string, history: readonly ChatMessage[] = []): ChatRequest {
  const { model, sampling, system, body } = run
  const stream = body.stream === true
  return textChat({ model: model.alias, stream, sampling, system: system.text, history, text })
}

/** Text of the response. Throws `upstream_error` if it has no choice; an empty text is valid. */
export function textOf(response: ChatResponse): string {
  const [choice] = response.choices
  if (!choice) throw upstreamFailed('The upstream sent a response without a choice', 'BAD_ANSWER')
  return choice.text || choice.refusal || ''
}

/** Seconds since the request arrived. */
export function generationTime(run: TextRun): number {
  return run.request.exchange.elapsedMs() / 1000
}

/** Asks once. A streamed response is that of a chat: OpenAI chunks, or Ollama lines if the client accepts them. */
export async function answerOne(
  endpoint: OneTextEndpoint<TProperties, TSchema>,
  run: TextRun,
): Promise<FastifyReply | Record<string, unknown>> {
  const { app, request, reply, body, model, defaults } = run
  const text = endpoint.text(body, run.system.language)
  const chat = chatOf(run, text, endpoint.history?.(body))
  if (chat.stream) {
    const client = {
      dialect: app.dialects.get(run.wantsLines ? 'ollama' : 'openai'),
      alias: model.alias,
      model,
      source: { from: 'router', request: chat, defaults },
      outline: {},
      readBody: () => ({}),
      stream: true,
      includeUsage: false,
    } as const
    return app.gateway.chat(client, request, reply)
  }
  const response = await app.gateway.askChat({ model, request: chat, defaults }, request)
  reply.headers(answerHeaders(request.exchange))
  const { sources } = request
  return {
    ...endpoint.answer(textOf(response), body),
    generation_time: generationTime(run),
    ...(sources ? { [extensionMember]: { sources } } : {}),
  }
}
