import type { ChatMessage, ChatRequest } from '../../sdk/chat.ts'
import type { CountCodec, Dialect } from '../../sdk/dialect.ts'
import { RouterError } from '../../sdk/errors.ts'
import type { Operation } from '../../sdk/operation.ts'
import { flavourOf } from '../../sdk/profile.ts'
import { allTargets, type Target } from '../../sdk/target.ts'
import type { PreparedAttempt } from '../attempt/prepared-attempt.ts'
import { unreadableFailure } from '../attempt/upstream-failure.ts'
import type { ClientRequest } from '../request/client-request.ts'
import {
  type PreparedBody,
  passthroughBody,
  UnreadableRequest,
  withoutLoneSurrogates,
  writeOptions,
} from '../request/prepare-body.ts'
import { traitsOfOperation } from '../request/request-traits.ts'
import { routingOfOperation } from '../request/routing-request.ts'
import type { RelayServices } from '../services.ts'
import { wholeWithFailover } from './failover.ts'

/** How a target counts tokens, and the member of its response with the number. */
interface CountMethod {
  operation: Operation
  isPassthrough: boolean
  member: string
  body(): PreparedBody
}

/** Timeout in milliseconds: an estimate is always available, so a count must be quick. */
const timeoutMs = 10_000

/**
 * Number of prompt tokens in a client's request, counted by one of the model's targets; undefined if none can count. Targets
 * of the client's dialect count in it, others in that of their `count`, or with vLLM's `/tokenize`. Throws the error of the
 * targets that can.
 */
export async function countPrompt(
  request: ClientRequest,
  services: RelayServices,
): Promise<number | undefined> {
  const { model } = request
  const canServe = (target: Target): boolean => countMethodOf(request, target, services) !== undefined
  if (!allTargets(model).some(canServe)) return undefined
  const { signal, stop } = withTimeout(services.exchange.signal)
  try {
    // Other models tokenize differently.
    const bounded = { ...services, signal, fallbacksOf: () => [] }
    const prepare = (target: Target): PreparedAttempt<number> => prepareCount(request, target, services)
    const traits = traitsOfOperation('count')
    return await wholeWithFailover(
      { model, traits, request: routingOfOperation(undefined, services), canServe, prepare },
      bounded,
    )
  } finally {
    stop()
  }
}

function prepareCount(
  request: ClientRequest,
  target: Target,
  services: RelayServices,
): PreparedAttempt<number> {
  const way = countMethodOf(request, target, services)
  if (!way) throw new Error('a target was picked that cannot count')
  const { operation, isPassthrough, member } = way
  return {
    operation,
    isPassthrough,
    body: way.body(),
    read({ body }) {
      const tokens = numberIn(body, member)
      if (tokens === undefined) return { ...unreadableFailure(), verdict: 'nothing' }
      return { answer: tokens, usage: undefined }
    },
  }
}

function countMethodOf(
  request: ClientRequest,
  target: Target,
  services: RelayServices,
): CountMethod | undefined {
  const { type, paths } = target
  const dialect = services.dialectOf(type.countDialect ?? type.dialect)
  const { count } = dialect
  if (paths.count !== undefined && count) {
    // A target that counts in another dialect than it answers in gets the translated chat, not the client's bytes.
    const isPassthrough = type.countDialect === undefined && type.dialect === request.dialect.name
    const body = (): PreparedBody =>
      isPassthrough
        ? clientBody(request, target, count)
        : translatedCount(request, target, { dialect, count })
    return { operation: 'count', isPassthrough, member: count.member, body }
  }
  if (paths.tokenize === undefined || type.countDialect !== undefined) return undefined
  const body = (): Buffer => tokenizeBody(request, target, services)
  return { operation: 'tokenize', isPassthrough: false, member: 'count', body }
}

/** The client's bytes, if they are a chat. */
function clientBody(
  { dialect, source, readBody }: ClientRequest,
  target: Target,
  count: CountCodec,
): PreparedBody {
  const { upstreamModel: model } = target
  if (count.writeRequest) return Buffer.from(JSON.stringify(count.writeRequest(readBody(), model)))
  if (source.from !== 'client') return Buffer.from(JSON.stringify({ ...readBody(), model }))
  const tools = target.toolCalling ? [] : ['tools', 'tool_choice']
  const isVendor = target.isAnthropic === true
  const request = { ...source, body: readBody(), stream: false, wantUsage: false, isVendor }
  const { edits } = dialect.chat.passthroughEdits(request)
  return passthroughBody(source, target, { removed: [...count.answerMembers, ...tools], edits })
}

function translatedCount(
  client: ClientRequest,
  target: Target,
  { dialect, count }: { dialect: Dialect; count: CountCodec },
): Buffer {
  const { answerMembers, writeRequest } = count
  const chat = chatBody(client, target, dialect)
  for (const member of answerMembers) delete chat[member]
  return Buffer.from(JSON.stringify(writeRequest ? writeRequest(chat, target.upstreamModel) : chat))
}

/** Source: vLLM documentation, "OpenAI-Compatible Server", tokenizer API; with `messages` it applies the chat template. */
function tokenizeBody(client: ClientRequest, target: Target, services: RelayServices): Buffer {
  const { messages, tools } = chatBody(client, target, services.dialectOf(target.type.dialect))
  const body = JSON.stringify({ model: target.upstreamModel, messages, tools })
  return Buffer.from(withoutLoneSurrogates(body, undefined))
}

function chatBody(client: ClientRequest, target: Target, { chat }: Dialect): Record<string, unknown> {
  const request = readForCount(client)
  const messages =
    target.type.countDialect === undefined ? request.messages : signed(request.messages, target)
  return chat.writeRequest(
    { ...request, messages, sampling: {}, tools: target.toolCalling ? request.tools : [] },
    writeOptions(target, () => undefined),
  )
}

/** The chat contains thoughts without a signature; the dialect used for counting may require one. */
function signed(messages: readonly ChatMessage[], target: Target): ChatMessage[] {
  const { reasoningHistory = [] } = flavourOf(target)
  return messages.map((message): ChatMessage => {
    if (message.role !== 'assistant' || message.reasoning === '') return message
    return reasoningHistory.length > 0
      ? { ...message, reasoningSignature: 'unsigned' }
      : { ...message, reasoning: '' }
  })
}

function readForCount({ dialect, readBody }: ClientRequest): ChatRequest {
  try {
    dialect.chat.checkRequest?.(readBody())
    // A count request has no token limit, but requests cannot be read without one.
    return dialect.chat.readRequest({ ...readBody(), max_tokens: 1 }, false)
  } catch (error) {
    throw new UnreadableRequest(error)
  }
}

function numberIn(answer: Buffer, member: string): number | undefined {
  try {
    const { [member]: tokens }: Record<string, unknown> = Object(JSON.parse(answer.toString()))
    return typeof tokens === 'number' && Number.isInteger(tokens) && tokens >= 0 ? tokens : undefined
  } catch {
    return undefined // no JSON
  }
}

/** A signal that is also aborted by the timeout. */
function withTimeout(request: AbortSignal): { signal: AbortSignal; stop: () => void } {
  const over = new AbortController()
  const error = new RouterError('upstream_timeout', 'No upstream counted the tokens in time', {
    causeCode: 'TIMEOUT_COUNT',
  })
  const timer = setTimeout(() => over.abort(error), timeoutMs)
  return { signal: AbortSignal.any([request, over.signal]), stop: () => clearTimeout(timer) }
}
