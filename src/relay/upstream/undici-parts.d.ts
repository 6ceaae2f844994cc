/*
 * The three parts of undici that the transport needs. Its own door opens onto all of it, fetch and mocks and caches too, which
 * takes a twentieth of a second more at the start; that door is then the place for their types.
 */
declare module 'undici/lib/dispatcher/agent.js' {
  import { Agent } from 'undici'

  export default Agent
}

declare module 'undici/lib/dispatcher/pool.js' {
  import { Pool } from 'undici'

  export default Pool
}

declare module 'undici/lib/core/connect.js' {
  import { buildConnector } from 'undici'

  export default buildConnector
}
