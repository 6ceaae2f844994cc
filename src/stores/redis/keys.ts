/** The channel on which models with a freed target are published. */
export const freedChannel = 'llm-router:freed'
/** The channel on which routers share the state of engines and models. */
export const fleetChannel = 'llm-router:fleet'
/** The channel on which a host announces changes of clients or keys in the database. */
export const directoryChannel = 'llm-router:directory'
/** The channel on which routers share operator overrides of targets. */
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
  /** The router that polls the engines for all routers. */
  leader: 'llm-router:leader',
  /** Operator overrides of targets. */
  overrides: 'llm-router:target-overrides',
  running: (host: string) => `llm-router:running:${host}`,
  /** Leases of a process. */
  owned: (worker: string) => `llm-router:owned:${worker}`,
  /** An abandoned request or a dead process. */
  gone: (tokenOrWorker: string) => `llm-router:gone:${tokenOrWorker}`,
  /** Stored responses of the Responses API: their JSON, and the data that limits them. */
  responses: 'llm-router:responses',
  responsesByUse: 'llm-router:responses:by-use',
  responsesByExpiry: 'llm-router:responses:by-expiry',
  responsesBytes: 'llm-router:responses:bytes',
  /** Exists while a response is about to be stored. */
  responsePending: (id: string) => `llm-router:responses:pending:${id}`,
  /** A cached response: hashed names of its model and client, and the digest of its request. */
  answer: (model: string, client: string, digest: string) => `llm-router:answer:${model}:${client}:${digest}`,
  /** Their names by expiry, in milliseconds since 1970, to find them without a scan of all keys. */
  answers: 'llm-router:answers',
  /** Usage of a client key: running requests, requests of the last minute, remaining and reserved tokens. */
  keyOpen: (id: string) => `{k:${id}}:open`,
  keyRecent: (id: string) => `{k:${id}}:recent`,
  keyTokens: (id: string) => `{k:${id}}:tokens`,
  keyReserved: (id: string) => `{k:${id}}:reserved`,
  python: (model: string) => `model:${pythonName(model)}`,
}

/** A name in braces, escaped so that keys are unambiguous and Redis Cluster finds the hash tag. */
function part(name: string): string {
  return name.replaceAll(/[%{}]|\p{Cc}/gu, encodeURIComponent)
}

/**
 * The target's field in the Python version's hash, without `:is_chosen`. That version names a provider by its id, or by
 * its address if it has none; a generated id (`alias@digest#count`) means such a provider.
 */
export function pythonField(id: string, host: string): string {
  return pythonName(/@[0-9a-f]{8}#\d+$/.test(id) ? host : id)
}

function pythonName(text: string): string {
  return text.replaceAll(/[/:\-.,; \t\n]/g, '_')
}
