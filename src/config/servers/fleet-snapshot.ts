import type { FoundModel } from '../models/discovered.ts'

/** One address of a server, or the server itself if its addresses are not separate targets. */
export interface ServerEndpoint {
  /** Suffix of its target ids; absent if the server's addresses are not separate targets. */
  name?: string
  /** IP address to connect to, and the port if it differs from api_host. */
  address?: string
  port?: number
  /** The models that it lists; absent if it has not responded yet or is not asked. */
  models?: readonly FoundModel[]
}

/** State of discovered servers by id, as plain JSON. */
export type FleetSnapshot = Readonly<Record<string, readonly ServerEndpoint[]>>
