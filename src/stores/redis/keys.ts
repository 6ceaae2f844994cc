/** The channel on which models with a freed target are published. */
export const freedChannel = 'llm-router:freed'
/** The channel on which routers tell each other what their engines and models do. */
export const fleetChannel = 'llm-router:fleet'
/** The channel on which a host says that it has changed clients or keys in the database. */
export const directoryChannel = 'llm-router:directory'
/** The channel on which routers tell each other what operators set for targets. */
export const overridesChannel = 'llm-router:overrides'

/**
 * The names of everything in Redis. Leases and their counters start with the model in braces; only the hash of the
 * Python llm-router has that project's name for it.
 */
export const redisKeys = {
  leases: (model: string, id: string) => `{m:${part(model)}}:leases:${id}`,
  fence: (model: string) => `{m:${part(model)}}:fence`,
  waiting: (model: string) => `{m:${part(model)}}:waiting`,
  lastHost: (model: string) => `{m:${part(model)}}:last-host`,
  knownHosts: (model: string) => `{m:${part(model)}}:hosts`,
  usedHosts: 'llm-router:hosts',
  /** The router that polls the engines for all. */
  leader: 'llm-router:leader',
  /** What operators have set for targets. */
  overrides: 'llm-router:target-overrides',
  running: (host: string) => `llm-router:running:${host}`,
  /** What a process holds. */
  owned: (worker: string) => `llm-router:owned:${worker}`,
  /** A request that was abandoned, or a process that is dead. */
  gone: (tokenOrWorker: string) => `llm-router:gone:${tokenOrWorker}`,
  /** Stored responses of the Responses API: their JSON, and what bounds them. */
  responses: 'llm-router:responses',
  responsesByUse: 'llm-router:responses:by-use',
  responsesByExpiry: 'llm-router:responses:by-expiry',
  responsesBytes: 'llm-router:responses:bytes',
  /** Exists: this response will be kept soon. */
  responsePending: (id: string) => `llm-router:responses:pending:${id}`,
  /** An answer of the cache: hidden names of its model and client, and the digest of its request. */
  answer: (model: string, client: string, digest: string) => `llm-router:answer:${model}:${client}:${digest}`,
  /** Their names by their end, in milliseconds since 1970, to find them without a look at all keys. */
  answers: 'llm-router:answers',
  /** What a client key uses: running requests, those of the last minute, remaining tokens, reserved tokens. */
  keyOpen: (id: string) => `{k:${id}}:open`,
  keyRecent: (id: string) => `{k:${id}}:recent`,
  keyTokens: (id: string) => `{k:${id}}:tokens`,
  keyReserved: (id: string) => `{k:${id}}:reserved`,
  python: (model: string) => `model:${pythonName(model)}`,
}

/** A name between braces: no other name with another ending gives the same key, and Redis Cluster finds its end. */
function part(name: string): string {
  return name.replaceAll(/[%{}]|\p{Cc}/gu, encodeURIComponent)
}

/**
 * The target's field in the Python version's hash, without `:is_chosen`. That version names a provider by its id, or by
 * its address where it has none; an id that was generated here (`alias@digest#count`) means such a provider.
 */
export function pythonField(id: string, host: string): string {
  return pythonName(/@[0-9a-f]{8}#\d+$/.test(id) ? host : id)
}

function pythonName(text: string): string {
  return text.replaceAll(/[/:\-.,; \t\n]/g, '_')
}
