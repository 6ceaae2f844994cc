import type { Operation } from '../../sdk/provider.ts'
import type { Target } from '../../sdk/target.ts'
import type { ChatCall } from '../request/chat-request.ts'
import { askTarget } from './ask-target.ts'
import type { ChatServices } from './chat-run.ts'

/**
 * Hands a request to load or unload a model to all Ollama servers that have it, at once. Throws the error to tell where none
 * of them did it. Other servers decide themselves what they hold: to load is nothing, to unload is reported as dropped.
 */
export async function loadModel(
  call: ChatCall,
  wish: 'load' | 'unload',
  services: ChatServices,
): Promise<void> {
  const { targets, sleeping } = call.model
  const concerned = wish === 'load' ? targets : [...targets, ...sleeping]
  const servers = concerned.filter(
    ({ type, paths }) => type.dialect === 'ollama' && pathOf(paths) !== undefined,
  )
  if (servers.length === 0) {
    if (wish === 'unload')
      services.exchange.drop('keep_alive', 'the upstream decides itself how long a model stays loaded')
    return
  }
  const body = call.readBody()
  const results = await Promise.all(servers.map((target) => hand(target, body, call, services)))
  const [failed] = results.filter((result) => result.type === 'failed')
  if (failed && results.every(({ type }) => type === 'failed')) throw failed.error
}

function pathOf(paths: Target['paths']): Operation | undefined {
  if (paths.completion !== undefined) return 'completion'
  return paths.chat === undefined ? undefined : 'chat'
}

/** Without a prompt, as it came: what matters is how long, and with which context the model is to be loaded. */
function hand(
  target: Target,
  body: Readonly<Record<string, unknown>>,
  { dialect }: ChatCall,
  services: ChatServices,
): ReturnType<typeof askTarget> {
  const { keep_alive: keepAlive, options } = body
  const wished = {
    ...(keepAlive === undefined ? {} : { keep_alive: keepAlive }),
    ...(options ? { options } : {}),
  }
  const sent: Record<string, unknown> = {
    ...wished,
    ...dialect.chat.missingDefaults(wished, loadDefaults(target)),
  }
  for (const member of target.dropParams) delete sent[member]
  Object.assign(sent, { model: target.upstreamModel, stream: false })
  const operation = pathOf(target.paths) ?? 'completion'
  return askTarget(services, target, {
    operation,
    body: Buffer.from(JSON.stringify(sent)),
    revoked: undefined,
    trace: undefined,
  })
}

function loadDefaults({ defaults }: Target): Record<string, unknown> {
  return { keep_alive: defaults.keep_alive, options: defaults.options, num_ctx: defaults.num_ctx }
}
