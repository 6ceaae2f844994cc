import type { FoundModel } from '../models/discovered.ts'

/** One address of a server, or the server itself where its addresses are not told apart. */
export interface ServerEndpoint {
  /** End of the ids of its targets; absent for a server whose addresses are not told apart. */
  name?: string
  /** IP address to connect to, and the port where it is not the one in api_host. */
  address?: string
  port?: number
  /** The models that it lists; absent as long as it has listed none, or is not asked. */
  models?: readonly FoundModel[]
}

/** What is known of the servers that are followed, by their ids. Plain JSON. */
export type FleetSnapshot = Readonly<Record<string, readonly ServerEndpoint[]>>
