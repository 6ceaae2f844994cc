import { objectsIn } from '../../lib/json/read.ts'
import type { ChatRequest } from '../../sdk/chat.ts'
import type { Dialect } from '../../sdk/dialect.ts'
import { badRequest } from '../../sdk/errors.ts'
import type { Operation } from '../../sdk/operation.ts'
import type { Target } from '../../sdk/target.ts'
import { needsResponses } from '../profile/fit-request.ts'
import type { RelayServices } from '../services.ts'
import type { ClientRequest } from './client-request.ts'

/** The target's operation that accepts the client's bytes unchanged; undefined if there is none. */
export function nativeOperation({ name, native }: Dialect, { type, paths }: Target): Operation | undefined {
  const { dialect, operation } = native ?? { dialect: name, operation: 'chat' }
  return type.dialect === dialect && paths[operation] !== undefined ? operation : undefined
}

/** Whether the target would reject the custom tools of these chat completions, which translation turns into functions. */
export function lacksCustomTools({ dialect, outline }: ClientRequest, { type }: Target): boolean {
  if (type.flavour.customTools !== false || dialect.name !== type.dialect) return false
  return objectsIn(outline.tools).some((tool) => tool.type === 'custom')
}

/** Whether a target accepts the client's bytes unchanged and validates them itself. */
export function upstreamValidates(dialect: Dialect, target: Target): boolean {
  return nativeOperation(dialect, target) !== undefined && !isEmbedded(target)
}

export function isEmbedded({ type }: Target): boolean {
  return !type.needsHost
}

/** The dialect and operation to use at a target. Throws `bad_request` if the target supports only chats. */
export function upstreamSurface(
  request: ChatRequest,
  target: Target,
  { dialectOf, declined }: Pick<RelayServices, 'dialectOf' | 'declined'>,
): { dialect: Dialect; operation: Operation } {
  const dialect = dialectOf(target.type.dialect)
  if (request.completion === undefined) {
    const wantsResponses = target.paths.responses !== undefined && target.type.dialect === 'openai'
    const needed = hasFileByAddress(request) || needsResponses(withTools(request, target), target.profile)
    if (wantsResponses && needed && !declined.has(target, 'responses'))
      return { dialect: dialectOf('responses'), operation: 'responses' }
    if (target.paths.chat === undefined)
      throw badRequest('The upstream of this model does not support chats', 'model')
    return { dialect, operation: 'chat' }
  }
  const field = request.completion.raw ? 'raw' : 'suffix'
  if (dialect.completions === undefined || target.paths.completion === undefined) {
    throw badRequest(
      `The upstream of this model only supports chats; '${field}' needs one that completes text`,
      field,
    )
  }
  return { dialect: dialectOf(dialect.completions), operation: 'completion' }
}

/** Chat completions accept only the data of a file; the Responses API also accepts its URL. */
function hasFileByAddress({ messages }: ChatRequest): boolean {
  return messages.some(({ parts }) => parts.some((part) => part.type === 'file' && part.url !== undefined))
}

export function withTools(request: ChatRequest, target: Target): ChatRequest {
  if (target.toolCalling || request.tools.length === 0) return request
  const { toolChoice: _choice, parallelToolCalls: _parallel, ...rest } = request
  return { ...rest, tools: [] }
}
