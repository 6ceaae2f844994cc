import { badRequest, type RouterError } from '../core/errors.ts'
import type { Operation } from '../core/provider.ts'
import type { Model, Target } from '../core/target.ts'
import type { Acquire } from './over-targets.ts'
import type { Failure } from './upstream-failure.ts'

const unsupported = 'unsupported_operation'

const words: Readonly<Record<Operation, string>> = {
  chat: 'chat requests',
  completion: 'completions of a text',
  responses: 'the Responses API',
  embedding: 'embeddings',
  rerank: 'reranking',
  score: 'scoring',
  transcription: 'transcriptions',
  speech: 'speech',
  image: 'images',
  tokenize: 'tokenizing',
  detokenize: 'detokenizing',
  count: 'counting the tokens of a prompt',
}

/** The targets of a model that have an operation. */
export function targetsWith(model: Model, operation: Operation): readonly Target[] {
  return [...model.targets, ...model.sleeping].filter(({ paths }) => paths[operation] !== undefined)
}

/** Throws what to tell a client whose model has the operation on no target. `others`: models that are known to have it. */
export function requireOperation(model: Model, operation: Operation, others: readonly string[] = []): void {
  if (targetsWith(model, operation).length > 0) return
  throw notOffered(model.alias, operation, others)
}

/** An `acquire` that takes none but the targets with the operation. */
export function acquireWith(operation: Operation, acquire: Acquire): Acquire {
  return (model, tried, signal) => {
    const others = [...model.targets, ...model.sleeping].filter(({ paths }) => paths[operation] === undefined)
    return acquire(model, others.length === 0 ? tried : new Set([...tried, ...others]), signal)
  }
}

/**
 * Servers answer 404, 405 or 501 where a path is not there, which for operations beside the chat says that the model is
 * of another kind, and nothing about the target. One that names the model as unknown stays what it is.
 */
export function unlessNotOffered(failure: Failure, operation: Operation, target: Target): Failure {
  const { causeCode = '', cause } = failure.error
  if (!/^HTTP_(404|405|501)$/.test(causeCode)) return failure
  const said = JSON.stringify(cause ?? '')
  if (causeCode === 'HTTP_404' && /model_not_found|model[^"]{0,120}(?:not found|does not exist)/i.test(said))
    return failure
  // The path is there: this server has not got the answer that the request goes on from, another one may.
  if (operation === 'responses' && /response[^"]{0,120}not found/i.test(said)) {
    return { error: previousNotFound(), retry: 'next', verdict: 'nothing' }
  }
  return { error: notOffered(target.model, operation, []), retry: 'next', verdict: 'nothing' }
}

/** Whether an upstream said that it has not got the operation. */
export function isNotOffered(error: RouterError): boolean {
  return error.code === unsupported
}

function previousNotFound(): RouterError {
  const words = 'The previous response was not found'
  return badRequest(words, 'previous_response_id', 'previous_response_not_found')
}

function notOffered(alias: string, operation: Operation, others: readonly string[]): RouterError {
  const known = others.length === 0 ? '' : `; models that do: ${others.slice(0, 8).join(', ')}`
  return badRequest(`The model '${alias}' does not offer ${words[operation]}${known}`, 'model', unsupported)
}
