import { RouterError } from '../../sdk/errors.ts'
import type { Operation } from '../../sdk/operation.ts'
import { allTargets, type Target } from '../../sdk/target.ts'
import { attempt } from '../attempt/attempt.ts'
import type { AttemptResult } from '../attempt/attempt-result.ts'
import type { ClientRequest } from '../request/client-request.ts'
import { translatedBody } from '../request/prepare-body.ts'
import type { RelayServices } from '../services.ts'
import type { EngineRequestOptions } from '../upstream/ask-engine.ts'
import { acceptsCommands, commandEngine } from '../upstream/engine-command.ts'

/**
 * Sends a request to load or unload a model to all its servers that support it, concurrently. Throws the first error
 * if none succeeded. Other servers manage their memory themselves: loading has no effect, unloading is reported as dropped.
 */
export async function loadModel(
  request: ClientRequest,
  action: 'load' | 'unload',
  services: RelayServices,
): Promise<void> {
  const concerned = action === 'load' ? request.model.targets : allTargets(request.model)
  const servers = concerned.filter(
    ({ type, paths }) => type.dialect === 'ollama' && pathOf(paths) !== undefined,
  )
  const others = concerned.filter((target) => acceptsCommands(target) && !servers.includes(target))
  const [results, commanded] = await Promise.all([
    Promise.all(servers.map((target) => sendTo(target, request, services))),
    Promise.all(others.map((target) => commandEngine(target, action, requestOptionsOf(target, services)))),
  ])
  const [failed] = results.filter((result) => result.type === 'failure')
  const isDone =
    results.some(({ type }) => type === 'success') || commanded.some(({ type }) => type === 'done')
  if (isDone) return
  if (failed) throw failed.error
  if (commanded.some(({ type }) => type === 'failed'))
    throw new RouterError('upstream_error', `The upstream could not ${action} the model`, {
      code: 'upstream_error',
    })
  if (action === 'unload')
    services.exchange.drop('keep_alive', 'the upstream decides how long a model stays loaded')
}

function requestOptionsOf(
  target: Target,
  { transportOf, timeoutMs, userAgent, exchange: { signal } }: RelayServices,
): EngineRequestOptions {
  return { transport: transportOf(target), timeoutMs, userAgent, signal }
}

function pathOf(paths: Target['paths']): Operation | undefined {
  if (paths.completion !== undefined) return 'completion'
  return paths.chat === undefined ? undefined : 'chat'
}

/** The body without a prompt: it sets how long, and with which context, the model is loaded. */
function sendTo(
  target: Target,
  { dialect, readBody }: ClientRequest,
  services: RelayServices,
): Promise<AttemptResult> {
  const { keep_alive: keepAlive, options } = readBody()
  const settings = {
    ...(keepAlive === undefined ? {} : { keep_alive: keepAlive }),
    ...(options ? { options } : {}),
  }
  const { keep_alive, options: configured, num_ctx } = target.defaults
  const body = translatedBody(settings, target, dialect.chat, {
    defaults: { keep_alive, options: configured, num_ctx },
    members: {},
    set: { stream: false },
  })
  const operation = pathOf(target.paths) ?? 'completion'
  const prepare = () => ({ operation, body, read: () => ({ answer: true, usage: undefined }) })
  return attempt({ prepare }, { services, target })
}
