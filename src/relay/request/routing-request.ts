import { scanObject } from '../../lib/json/splice.ts'
import type { ChatRequest } from '../../sdk/chat.ts'
import type { PrefixKey, Priority, RoutingRequest } from '../../sdk/strategy.ts'
import type { RelayServices } from '../services.ts'
import type { ClientRequest } from './client-request.ts'
import { bytesPerToken, prefixKeys } from './prefix-keys.ts'
import { groupOf, sessionOf } from './session.ts'

interface PromptSource {
  session?: string | undefined
  group?: string | undefined
  prefixKeys?(): readonly PrefixKey[]
  promptBytes?(): number
}

/** The parts of the relay that a routing request needs. */
type Services = Pick<RelayServices, 'exchange' | 'clientHeaders' | 'clientName' | 'priority' | 'canary'>

/** Everything is computed on first use, so strategies pay only for what they read. */
class LazyRouting implements RoutingRequest {
  readonly #source: () => PromptSource
  readonly #services: Services
  #read: PromptSource | undefined
  #keys: readonly PrefixKey[] | undefined
  #tokens: number | undefined
  #client: string | undefined

  constructor(source: () => PromptSource, services: Services) {
    this.#source = source
    this.#services = services
  }

  get session(): string | undefined {
    return this.#prompt.session
  }

  get group(): string | undefined {
    return this.#prompt.group
  }

  get prefixKeys(): readonly PrefixKey[] {
    this.#keys ??= this.#prompt.prefixKeys?.() ?? []
    return this.#keys
  }

  get promptTokens(): number {
    this.#tokens ??=
      this.prefixKeys.at(-1)?.tokens ?? Math.ceil((this.#prompt.promptBytes?.() ?? 0) / bytesPerToken)
    return this.#tokens
  }

  get client(): string {
    this.#client ??= this.#services.clientName()
    return this.#client
  }

  get priority(): Priority {
    return this.#services.priority ?? 'normal'
  }

  get canary(): boolean | undefined {
    return this.#services.canary
  }

  get answerId(): string | undefined {
    return this.#services.exchange.answerId
  }

  get #prompt(): PromptSource {
    this.#read ??= this.#source()
    return this.#read
  }
}

/** For a chat request in a client's dialect, or one that a text endpoint makes for it. */
export function routingOfClient(request: ClientRequest, services: Services): RoutingRequest {
  return new LazyRouting(() => {
    const { source, outline, dialect } = request
    const { promptMembers = [] } = dialect.chat
    const prompt: PromptSource =
      source.from === 'router'
        ? promptOfChat(source.request)
        : {
            prefixKeys: () => prefixKeys(source.bytes, source.scan, promptMembers),
            promptBytes: () => source.bytes.length,
          }
    return {
      ...prompt,
      session: sessionOf(services.clientHeaders, outline),
      group: groupOf(outline),
    }
  }, services)
}

/** For a request made by the router itself. */
export function routingOfChat(request: ChatRequest, services: Services): RoutingRequest {
  return new LazyRouting(() => {
    const session = sessionOf(services.clientHeaders, {})
    return { ...promptOfChat(request), session, group: request.user }
  }, services)
}

/** For a request of which only the operation is known. `bytes`: length of its body, if it is in memory. */
export function routingOfOperation(bytes: number | undefined, services: Services): RoutingRequest {
  return new LazyRouting(
    () => ({ session: sessionOf(services.clientHeaders, {}), promptBytes: () => bytes ?? 0 }),
    services,
  )
}

function promptOfChat({ tools, messages }: ChatRequest): PromptSource {
  return {
    prefixKeys() {
      const bytes = Buffer.from(JSON.stringify({ tools, messages }))
      const scan = scanObject(bytes)
      return scan ? prefixKeys(bytes, scan, ['tools', 'messages']) : []
    },
  }
}
