import { applyEdits, setMembers } from '../../lib/json/splice.ts'
import { RouterError } from '../../sdk/errors.ts'
import type { Operation } from '../../sdk/provider.ts'
import type { Target } from '../../sdk/target.ts'
import { garbageFailure } from '../attempt/upstream-failure.ts'
import type { ChatCall } from '../request/chat-request.ts'
import { traitsOfOperation } from '../request/request-traits.ts'
import { askTarget } from './ask-target.ts'
import type { ChatServices } from './chat-run.ts'
import { overTargets } from './over-targets.ts'

/** A way in which one target counts, and the member of its answer that has the number. */
interface CountWay {
  operation: Operation
  identity: boolean
  member: string
  body(): Buffer
}

/** An estimate is at hand at once: nobody waits long for better, in milliseconds. */
const patienceMs = 10_000

/** What belongs to the answer, which a count does not have. */
const answerMembers = [
  'max_tokens',
  'stream',
  'model_name',
  'metadata',
  'service_tier',
  'stop_sequences',
  'temperature',
  'top_p',
  'top_k',
]

/**
 * Tokens of the prompt in a client's request, counted by one of the model's targets; undefined where none can. Targets
 * of the client's dialect are asked in it, others by vLLM's `/tokenize`. Throws what went wrong with all that can.
 */
export async function countPrompt(call: ChatCall, services: ChatServices): Promise<number | undefined> {
  const { model } = call
  const all = [...model.targets, ...model.sleeping]
  if (!all.some((target) => wayOf(call, target, services))) return undefined
  const { signal, stop } = patience(services.exchange.signal)
  try {
    return await overTargets<number>({
      // Another model cuts a text into other tokens.
      services: { ...services, signal, fallbacksOf: () => [] },
      model,
      traits: traitsOfOperation('count'),
      can: (target) => wayOf(call, target, services) !== undefined,
      async attempt(target, revoked, trace) {
        const way = wayOf(call, target, services)
        if (!way) return { type: 'failed', ...garbageFailure() }
        const asked = { operation: way.operation, body: way.body(), identity: way.identity, revoked, trace }
        const result = await askTarget({ ...services, signal }, target, asked)
        if (result.type === 'failed') return result
        const tokens = result.type === 'whole' ? numberIn(result.body, way.member) : undefined
        return tokens === undefined
          ? { type: 'failed', ...garbageFailure(), verdict: 'nothing' }
          : { type: 'delivered', value: tokens }
      },
    })
  } finally {
    stop()
  }
}

function wayOf(call: ChatCall, target: Target, services: ChatServices): CountWay | undefined {
  const { type, paths } = target
  if (paths.count !== undefined && type.dialect === call.dialect.name) {
    return {
      operation: 'count',
      identity: true,
      member: 'input_tokens',
      body: () => clientBody(call, target),
    }
  }
  if (paths.tokenize === undefined) return undefined
  const body = (): Buffer => tokenizeBody(call, target, services)
  return { operation: 'tokenize', identity: false, member: 'count', body }
}

/** The client's bytes. Source: Anthropic API reference, "Count tokens in a Message". */
function clientBody({ source, readBody }: ChatCall, target: Target): Buffer {
  if (source.from !== 'client')
    return Buffer.from(JSON.stringify({ ...readBody(), model: target.upstreamModel }))
  const tools = target.toolCalling ? [] : ['tools', 'tool_choice']
  const removed = new Set([...target.dropParams, ...answerMembers, ...tools])
  removed.delete('model')
  return applyEdits(source.bytes, setMembers(source.scan, { model: target.upstreamModel }, removed))
}

/** Source: vLLM documentation, "OpenAI-Compatible Server", tokenizer API; with `messages` it applies the chat template. */
function tokenizeBody({ dialect, readBody }: ChatCall, target: Target, services: ChatServices): Buffer {
  // A count has no limit of the answer, without which no request can be read.
  const request = dialect.chat.readRequest({ ...readBody(), max_tokens: 1 }, false)
  const { messages, tools } = services
    .dialectOf(target.type.dialect)
    .chat.writeRequest(
      { ...request, tools: target.toolCalling ? request.tools : [] },
      { model: target.upstreamModel, flavour: target.type.flavour, drop: () => undefined },
    )
  return Buffer.from(JSON.stringify({ model: target.upstreamModel, messages, tools }))
}

function numberIn(answer: Buffer, member: string): number | undefined {
  try {
    const { [member]: tokens }: Record<string, unknown> = Object(JSON.parse(answer.toString()))
    return typeof tokens === 'number' && Number.isInteger(tokens) && tokens >= 0 ? tokens : undefined
  } catch {
    return undefined // the caller tells it as an answer that cannot be read
  }
}

/** A signal that also ends when the patience does. */
function patience(request: AbortSignal): { signal: AbortSignal; stop: () => void } {
  const over = new AbortController()
  const error = new RouterError('upstream_timeout', 'No upstream counted in time', {
    causeCode: 'TIMEOUT_COUNT',
  })
  const timer = setTimeout(() => over.abort(error), patienceMs)
  return { signal: AbortSignal.any([request, over.signal]), stop: () => clearTimeout(timer) }
}
