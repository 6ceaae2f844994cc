import type { FastifyInstance, FastifyRequest } from 'fastify'
import { askChat } from '../../relay/run/chat.ts'
import type { QuestionMessage } from '../../sdk/question.ts'
import { chatOfQuestion } from '../gateway/chat-of-question.ts'
import type { ModelQuestion } from './guardrail.ts'

/** Token limit of a verdict, which has a few words. */
const maxTokens = 64

/** Calls a judge model, ahead of waiting requests, while the client's request runs. Resolves to the model's text. */
export async function askModel(
  app: FastifyInstance,
  request: FastifyRequest,
  { model: name, turns, signal }: ModelQuestion,
): Promise<string> {
  const { model, services, settle } = app.internalCalls.begin(name, { request, operation: 'chat', signal })
  const messages = turns.map(
    ({ role, text }): QuestionMessage =>
      role === 'user' ? { role, content: text } : { role, content: text, toolCalls: [] },
  )
  const question = { model: model.alias, messages, temperature: 0, maxTokens }
  try {
    const judgeQuestion = { model, request: chatOfQuestion(question, { stream: false }) }
    const { choices } = await askChat(judgeQuestion, { ...services, priority: 'high' })
    book(app, request, services.exchange)
    settle()
    return choices[0]?.text ?? ''
  } catch (thrown) {
    settle(thrown)
    throw thrown
  }
}

/** Its tokens count for the client's limits too. */
function book(
  { config }: FastifyInstance,
  { exchange }: FastifyRequest,
  { usage }: FastifyRequest['exchange'],
): void {
  if (config.bookInternalCalls && usage) exchange.bookedTokens += usage.promptTokens + usage.completionTokens
}
