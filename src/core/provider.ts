import type { Flavour } from './dialect.ts'
import type { Target } from './target.ts'
import type { Transport } from './transport.ts'

/** What is asked of an upstream. */
export type Operation = 'chat'

/** A kind of upstream, the `api_type` of the configuration. */
export interface ProviderType {
  readonly name: string
  /** Name of the dialect that it speaks. */
  readonly dialect: string
  readonly flavour: Flavour
  /** Standard path of an operation, from the root of the host; undefined where it has none. */
  path(operation: Operation): string | undefined
  /** Headers that carry the target's own key; none when it has no key. */
  authHeaders(token: string | undefined): Record<string, string>
  /** Whether `api_host` is needed; an embedded type has no address. */
  readonly needsHost: boolean
  /** Answers calls itself instead of over HTTP (the mock does). */
  createTransport?(target: Target): Transport
}
