import { applyEdits, type JsonScan, setMembers } from '../../lib/json/splice.ts'
import type { Operation } from '../../sdk/provider.ts'
import type { Model, Target } from '../../sdk/target.ts'
import type { CallTrace } from '../../sdk/trace.ts'
import type { UpstreamRequest } from '../../sdk/transport.ts'
import type { ClientPipe } from '../answer/client-pipe.ts'
import { renameModel } from '../answer/whole-answer.ts'
import { type PipeOptions, type PipeResult, runPipe } from '../attempt/pipe-attempt.ts'
import { onceMoreIfStale, type Send } from '../attempt/stale-socket.ts'
import { garbageFailure } from '../attempt/upstream-failure.ts'
import { noteUpstreamText } from '../attempt/upstream-text.ts'
import type { CallLog } from '../call-log.ts'
import { having, requireOperation, unlessNotOffered } from '../request/operation-targets.ts'
import { traitsOfOperation } from '../request/request-traits.ts'
import { upstreamRequest } from '../request/upstream-request.ts'
import { askTarget } from './ask-target.ts'
import type { ChatServices } from './chat-run.ts'
import { type Delivered, overTargets } from './over-targets.ts'

/** A JSON request that goes through as it is, but for the model's name. */
export interface ForwardCall {
  operation: Operation
  /** The name the client asked for. */
  alias: string
  model: Model
  bytes: Buffer
  scan: JsonScan
}

/** The whole answer to a request whose answer is a small JSON. Throws the error to tell. */
export function answerForward(call: ForwardCall, services: ChatServices): Promise<Buffer> {
  const { operation, model } = call
  requireOperation(model, operation)
  return overTargets<Buffer>({
    services,
    model,
    traits: traitsOfOperation(operation, call.bytes),
    can: having(operation),
    async attempt(target, revoked, trace) {
      const body = bodyFor(call, target)
      const result = await askTarget(services, target, { operation, body, revoked, trace })
      if (result.type === 'failed') return result
      if (result.type === 'streamed') return { type: 'failed', ...garbageFailure() }
      return noteUsage(result.body, services, trace)
        ? { type: 'delivered', value: renameModel(result.body, call.alias) }
        : { type: 'failed', ...garbageFailure() }
    },
  })
}

/** Hands the answer to the client as it comes. Throws the error to tell, also when it broke off on the way. */
export function pipeForward(call: ForwardCall, client: ClientPipe, services: ChatServices): Promise<void> {
  const { operation } = call
  return pipeOverTargets({ ...call, client }, services, (target, trace) => ({
    ...upstreamRequest({
      target,
      operation,
      body: bodyFor(call, target),
      stream: false,
      requestId: services.exchange.id,
      clientHeaders: services.clientHeaders,
      userAgent: services.userAgent,
      trace,
    }),
  }))
}

/** Target after target until the first byte of an answer has come. */
export function pipeOverTargets(
  {
    operation,
    model,
    client,
    bytes,
  }: { operation: Operation; model: Model; client: ClientPipe; bytes?: Buffer },
  services: ChatServices,
  requestFor: (target: Target, trace: CallTrace | undefined) => UpstreamRequest,
): Promise<void> {
  requireOperation(model, operation)
  const { exchange } = services
  return overTargets<void>({
    services,
    model,
    traits: traitsOfOperation(operation, bytes),
    can: having(operation),
    async attempt(target, revoked, trace): Promise<Delivered<void>> {
      const request = requestFor(target, trace)
      const headers = { ...request.headers, accept: '*/*' }
      const options: PipeOptions = {
        target,
        transport: services.transportOf(target),
        request: { ...request, headers },
        client,
        timeoutMs: services.timeoutMs,
        signal: exchange.stop,
        revoked,
        watch: services.watch,
        clientName: services.clientName(),
        isVisible: false,
        onContent: () => {
          exchange.contentSeen()
          trace?.contentSeen()
        },
        onBroken: (error) => exchange.breakOff(error),
      }
      const result = await pipeTo(options, exchange.calls)
      if (result.type === 'failed') noteUpstreamText(result.error, target, request)
      return result.type === 'failed'
        ? { type: 'failed', ...unlessNotOffered(result, operation, target) }
        : { type: 'delivered', value: undefined }
    },
  })
}

function pipeTo(options: PipeOptions, calls: CallLog): Promise<PipeResult> {
  const { request, target } = options
  const send: Send<PipeResult> = (freshSocket, onResult) =>
    runPipe({ ...options, request: { ...request, freshSocket } }, onResult)
  return new Promise((resolve) => {
    onceMoreIfStale(send, { calls, model: target.model }, resolve)
  })
}

function bodyFor({ bytes, scan }: ForwardCall, target: Target): Buffer {
  const removed = new Set([...target.dropParams, 'model_name'])
  removed.delete('model')
  return applyEdits(bytes, setMembers(scan, { model: target.upstreamModel }, removed))
}

/** Token counts, where the answer has any. False: it is no JSON at all. */
function noteUsage(body: Buffer, { exchange }: ChatServices, trace: CallTrace | undefined): boolean {
  try {
    const { usage }: { usage?: unknown } = Object(JSON.parse(body.toString()))
    const { prompt_tokens: prompt, total_tokens: total }: Record<string, unknown> = Object(usage)
    const tokens = prompt ?? total
    if (typeof tokens === 'number') {
      const counts = { promptTokens: tokens, completionTokens: 0 }
      exchange.addUsage(counts)
      trace?.used(counts)
    }
    return true
  } catch {
    return false // the caller tells it as an answer that cannot be read
  }
}
