/** Channel on which models with a freed slot are published. */
export const freedChannel = 'llm-router:freed'
/** Channel on which routers share the state of engines and models. */
export const fleetChannel = 'llm-router:fleet'
/** Channel on which a host announces changes of records in the database. */
export const directoryChannel = 'llm-router:directory'
/** Channel on which routers share operator overrides of targets. */
export const overridesChannel = 'llm-router:overrides'

/**
 * The names of all keys in Redis. Leases and their counters begin with the model in braces, the hash tag; `python` is the hash
 * of the Python llm-router, under the name that it uses.
 */
export const redisKeys = {
  leases: (model: string, id: string) => `{m:${escaped(model)}}:leases:${id}`,
  fence: (model: string) => `{m:${escaped(model)}}:fence`,
  waiting: (model: string) => `{m:${escaped(model)}}:waiting`,
  lastHost: (model: string) => `{m:${escaped(model)}}:last-host`,
  knownHosts: (model: string) => `{m:${escaped(model)}}:hosts`,
  usedHosts: 'llm-router:hosts',
  /** The router that polls the engines for all routers. */
  leader: 'llm-router:leader',
  /** Operator overrides of targets. */
  overrides: 'llm-router:target-overrides',
  running: (host: string) => `llm-router:running:${host}`,
  /** Leases of a process. */
  owned: (worker: string) => `llm-router:owned:${worker}`,
  /** Exists for an abandoned request or a dead process, whose delayed calls are rejected. */
  gone: (tokenOrWorker: string) => `llm-router:gone:${tokenOrWorker}`,
  /** Stored responses of the Responses API: their JSON, and the indexes for eviction. */
  responses: 'llm-router:responses',
  responsesByUse: 'llm-router:responses:by-use',
  responsesByExpiry: 'llm-router:responses:by-expiry',
  responsesBytes: 'llm-router:responses:bytes',
  /** Their number and total length by owner, for fair eviction. */
  responseCounts: 'llm-router:responses:counts',
  responseSizes: 'llm-router:responses:sizes',
  /** Exists while a response is about to be stored. */
  responsePending: (id: string) => `llm-router:responses:pending:${id}`,
  /** A cached response: hashed names of its model and client, and the digest of its request. */
  answer: (model: string, client: string, digest: string) => `llm-router:answer:${model}:${client}:${digest}`,
  /** Names of cached responses by expiry, in milliseconds since 1970, to find them without a scan of all keys. */
  answers: 'llm-router:answers',
  /** Usage of a client key: running requests, requests of the last minute, remaining and reserved tokens. */
  keyOpen: (id: string) => `{k:${id}}:open`,
  keyRecent: (id: string) => `{k:${id}}:recent`,
  keyTokens: (id: string) => `{k:${id}}:tokens`,
  keyReserved: (id: string) => `{k:${id}}:reserved`,
  python: (model: string) => `model:${pythonName(model)}`,
}

/** Escapes a name for braces, so that keys are unambiguous and Redis Cluster finds the hash tag. */
function escaped(name: string): string {
  return name.replaceAll(/[%{}]|\p{Cc}/gu, encodeURIComponent)
}

/**
 * Returns the target's field in the hash of the Python llm-router, without `:is_chosen`. It names a provider by its id, or by
 * its address if it has none, which a generated id (`alias@digest#count`) indicates.
 */
export function pythonField(id: string, host: string): string {
  return pythonName(/@[0-9a-f]{8}#\d+$/.test(id) ? host : id)
}

function pythonName(text: string): string {
  return text.replaceAll(/[/:\-.,; \t\n]/g, '_')
}
