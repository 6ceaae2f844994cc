import type { ChatRequest } from '../../sdk/chat.ts'
import type { PrefixKey, Priority, RoutingRequest } from '../../sdk/strategy.ts'
import type { RelayServices } from '../services.ts'
import type { ClientRequest } from './client-request.ts'

/** Bytes of JSON per token, about what chats in English and code come to. */
const bytesPerToken = 4

interface PromptSource {
  session?(): string | undefined
  group?(): string | undefined
  prefixKeys?(): readonly PrefixKey[]
  promptBytes(): number
}

/** Strategies that look at none of this pay for none of it: everything is computed on its first use. */
class LazyRouting implements RoutingRequest {
  readonly #source: PromptSource
  readonly #services: Pick<RelayServices, 'clientName' | 'priority'>
  #session: { is: string | undefined } | undefined
  #group: { is: string | undefined } | undefined
  #keys: readonly PrefixKey[] | undefined
  #tokens: number | undefined

  constructor(source: PromptSource, services: Pick<RelayServices, 'clientName' | 'priority'>) {
    this.#source = source
    this.#services = services
  }

  get session(): string | undefined {
    this.#session ??= { is: this.#source.session?.() }
    return this.#session.is
  }

  get group(): string | undefined {
    this.#group ??= { is: this.#source.group?.() }
    return this.#group.is
  }

  get prefixKeys(): readonly PrefixKey[] {
    this.#keys ??= this.#source.prefixKeys?.() ?? []
    return this.#keys
  }

  get promptTokens(): number {
    this.#tokens ??= this.prefixKeys.at(-1)?.tokens ?? Math.ceil(this.#source.promptBytes() / bytesPerToken)
    return this.#tokens
  }

  get client(): string {
    return this.#services.clientName()
  }

  get priority(): Priority {
    return this.#services.priority ?? 'normal'
  }
}

/** Of a chat request in a client's dialect, or of one that an endpoint makes of it. */
export function routingOfClient({ source }: ClientRequest, services: RelayServices): RoutingRequest {
  if (source.from === 'router') return routingOfChat(source.request, services)
  return new LazyRouting({ promptBytes: () => source.bytes.length }, services)
}

/** Of a request that the router makes itself. */
export function routingOfChat(request: ChatRequest, services: RelayServices): RoutingRequest {
  const promptBytes = () => Buffer.byteLength(JSON.stringify([request.tools, request.messages]))
  return new LazyRouting({ promptBytes }, services)
}

/** Of a request that is known by its operation alone. `bytes`: length of its body, where that is in memory. */
export function routingOfOperation(bytes: number | undefined, services: RelayServices): RoutingRequest {
  return new LazyRouting({ promptBytes: () => bytes ?? 0 }, services)
}
