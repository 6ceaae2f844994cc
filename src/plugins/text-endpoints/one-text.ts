import type { TProperties, TSchema } from '@sinclair/typebox'
import type { FastifyReply } from 'fastify'
import { answerHeaders } from '../../relay/answer/answer-headers.ts'
import type { OneTextEndpoint } from '../../sdk/text-endpoint.ts'
import { chatOf, generationTime, type TextRun, textOf } from './text-run.ts'

/** Asks once. A streamed answer is a chat's: OpenAI chunks, or Ollama lines for who accepts those. */
export async function answerOne(
  endpoint: OneTextEndpoint<TProperties, TSchema>,
  run: TextRun,
): Promise<FastifyReply | Record<string, unknown>> {
  const { app, request, reply, body, model, defaults } = run
  const text = endpoint.text(body, run.system.language)
  const chat = chatOf(run, text, endpoint.history?.(body))
  if (chat.stream) {
    const call = {
      dialect: app.dialects.get(run.wantsLines ? 'ollama' : 'openai'),
      alias: model.alias,
      model,
      source: { from: 'router', request: chat, defaults },
      outline: {},
      readBody: () => ({}),
      stream: true,
      includeUsage: false,
    } as const
    return app.gateway.chat(call, request, reply)
  }
  const response = await app.gateway.ask({ model, request: chat, defaults }, request)
  reply.headers(answerHeaders(request.exchange))
  return { ...endpoint.answer(textOf(response), body), generation_time: generationTime(run) }
}
