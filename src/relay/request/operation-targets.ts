import { isObject } from '../../lib/json/read.ts'
import { badRequest, type RouterError } from '../../sdk/errors.ts'
import type { Operation } from '../../sdk/operation.ts'
import { allTargets, type Model, type Target } from '../../sdk/target.ts'
import { type AttemptFailure, movesOn } from '../attempt/attempt-result.ts'
import type { ThinkingLimit } from './thinking-limits.ts'

const unsupportedCode = 'unsupported_operation'

const operationNames: Readonly<Record<Operation, string>> = {
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
  audio_translation: 'translations of speech',
  image_edit: 'edits of images',
  moderation: 'moderations',
  pooling: 'pooling',
  classify: 'classification',
  cohere_embedding: "embeddings in Cohere's format",
  responses_count: 'counting the tokens of a response',
  infill: 'completions between a prefix and a suffix',
}

/** The targets of a model that have an operation. */
export function targetsWith(model: Model, operation: Operation): readonly Target[] {
  return allTargets(model).filter(({ paths }) => paths[operation] !== undefined)
}

/** Throws `bad_request` if no target of the model supports the operation. `others`: models known to support it. */
export function requireOperation(model: Model, operation: Operation, others: readonly string[] = []): void {
  if (targetsWith(model, operation).length > 0) return
  // It may get servers again soon, for example if it was scaled to zero.
  if (model.targets.length + model.standby.length === 0) return
  throw unsupportedOperation(model.alias, operation, others)
}

/** Whether a target has an operation. */
export function supporting(operation: Operation): (target: Target) => boolean {
  return ({ paths }) => paths[operation] !== undefined
}

/**
 * Servers respond with 404, 405 or 501 if a path does not exist; Ollama with 400, by name. That means the model is of another
 * kind and says nothing about the target. A response that names the model as unknown is not affected.
 */
export function asUnsupportedOperation(
  failure: AttemptFailure,
  operation: Operation,
  target: Target,
): AttemptFailure {
  const { causeCode = '', cause } = failure.error
  if (causeCode === 'HTTP_400' && isWrongModelKind(cause)) {
    return movesOn(unsupportedOperation(target.model, operation, []), 'nothing')
  }
  if (!/^HTTP_(404|405|501)$/.test(causeCode)) return failure
  const reported = JSON.stringify(cause ?? '')
  if (causeCode === 'HTTP_404') {
    if (/model_not_found|model[^"]{0,120}(?:not found|does not exist)/i.test(reported)) return failure
    // Something named in a chat, such as a file, may be unknown too: only a response about the path counts.
    if (operation === 'chat' && !isAboutPath(cause)) return failure
  }
  // The path exists: this server does not have the previous response; another one may.
  if (operation === 'responses' && /response[^"]{0,120}not found/i.test(reported)) {
    return movesOn(previousNotFound(), 'nothing')
  }
  return movesOn(
    operation === 'chat' ? noChatPath(target.model) : unsupportedOperation(target.model, operation, []),
    'nothing',
  )
}

/** Whether Ollama rejected an operation because the model is of another kind. Source: Ollama, `server/routes.go`. */
function isWrongModelKind(cause: unknown): boolean {
  const message = isObject(cause) ? cause.message : undefined
  return typeof message === 'string' && /^"[^"]{1,200}" does not support (?:chat|generate)$/.test(message)
}

/** Nearly every server has chats, so most likely it is not of the configured type. */
function noChatPath(alias: string): RouterError {
  const message = `The model '${alias}' does not support chat requests: its server has no such path; check api_type and api_host of the provider`
  return badRequest(message, 'model', unsupportedCode)
}

/**
 * How web servers report an unknown path. FastAPI (vLLM, SGLang): "Not Found". Go (Ollama): "404 page not
 * found". llama.cpp: "File Not Found". LM Studio: "Unexpected endpoint or method". Express, Fastify, nginx: by name.
 */
const pathTexts: readonly RegExp[] = [
  /^(?:file |page )?not found\.?$/i,
  /^404 (?:page )?not found$/i,
  /^unexpected endpoint or method\b/i,
  /^(?:cannot|route) (?:get|post)\b/i,
  /^the requested url was not found\b/i,
]

function isAboutPath(cause: unknown): boolean {
  const message = isObject(cause) ? cause.message : undefined
  if (typeof message !== 'string') return true
  const text = message.slice(0, 200).trim()
  return text === '' || pathTexts.some((pattern) => pattern.test(text))
}

/** Whether an upstream reported that it does not support the operation. */
export function isUnsupportedOperation(error: RouterError): boolean {
  return error.code === unsupportedCode
}

function previousNotFound(): RouterError {
  const words = 'The previous response was not found'
  return badRequest(words, 'previous_response_id', 'previous_response_not_found')
}

function unsupportedOperation(alias: string, operation: Operation, others: readonly string[]): RouterError {
  const known = others.length === 0 ? '' : `; models that do: ${others.slice(0, 8).join(', ')}`
  return badRequest(
    `The model '${alias}' does not support ${operationNames[operation]}${known}`,
    'model',
    unsupportedCode,
  )
}

/** Time after which the operation is tried again, in milliseconds: a 404 may come from a proxy whose server is starting. */
const forgetAfterMs = 300_000

export type Declinable = Operation | ThinkingLimit

/** What servers turned out not to support, so that requests are not sent twice. */
export class DeclinedOperations {
  readonly #now: () => number
  readonly #until = new WeakMap<Target, Map<Declinable, number>>()

  /** `now`: monotonic milliseconds. */
  constructor(now: () => number) {
    this.#now = now
  }

  has(target: Target, operation: Declinable): boolean {
    return (this.#until.get(target)?.get(operation) ?? Number.NEGATIVE_INFINITY) > this.#now()
  }

  add(target: Target, operation: Declinable): void {
    const known = this.#until.get(target) ?? new Map<Declinable, number>()
    this.#until.set(target, known.set(operation, this.#now() + forgetAfterMs))
  }
}
