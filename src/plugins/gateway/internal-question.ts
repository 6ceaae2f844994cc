import type { FastifyInstance, FastifyRequest } from 'fastify'
import { askChat } from '../../relay/run/chat.ts'
import type { RelayServices } from '../../relay/services.ts'
import { RouterError } from '../../sdk/errors.ts'
import type { QuestionMessage } from '../../sdk/question.ts'
import type { ModelQuestion } from '../processors/guardrail.ts'
import { chatOfQuestion } from './chat-of-question.ts'
import { stopped } from './question-signal.ts'

/** A verdict has a few words. */
const maxTokens = 64

/**
 * Asks a model for the router itself: without processors and without the client's rights, ahead of requests that wait, for as long
 * as the client's request runs. `services`: those of that request.
 */
export async function askInternally(
  app: FastifyInstance,
  { exchange: parent }: FastifyRequest,
  services: RelayServices,
  { model: name, turns, isBooked, signal }: ModelQuestion,
): Promise<string> {
  const model = app.models.find(name)
  if (!model) throw new RouterError('model_not_found', `No model '${name}'`)
  const messages = turns.map(
    ({ role, text }): QuestionMessage =>
      role === 'user' ? { role, content: text } : { role, content: text, toolCalls: [] },
  )
  const request = chatOfQuestion(
    { model: model.alias, messages, temperature: 0, maxTokens },
    { stream: false },
  )
  const internal = { parent, model: model.alias, isBooked }
  const answer = await app.exchanges.runInternal(internal, (exchange) =>
    askChat(
      { model, request, signal: stopped(signal, exchange.signal) },
      {
        ...services,
        exchange,
        acquire: app.balancer.acquire,
        clientHeaders: {},
        clientName: () => 'internal',
        priority: 'high',
        fallbacksOf: ({ fallbacks }) =>
          fallbacks.map((alias) => app.models.find(alias)).filter((each) => each !== undefined),
      },
    ),
  )
  return answer.choices[0]?.text ?? ''
}
