import { closestName } from '../../lib/did-you-mean.ts'
import { looksUnexpanded, readBoolean } from './text.ts'

type Environment = Readonly<Record<string, string | undefined>>

const prefix = 'LLM_ROUTER_'

/** Warning for a value that looks like a reference to another variable: settings are not expanded. */
const usedLiterally = 'looks like a reference to an environment variable, but is used literally'

/** Notes on variables of the Python llm-router with a different meaning, or none. */
const knownNotes: Readonly<Record<string, string>> = {
  MINIMUM: 'no effect: this router is always a proxy',
  SERVER_THREADS_COUNT: 'no effect: a process serves all its connections from one thread',
  SERVER_WORKER_CLASS: 'no effect: there is one kind of worker',
  LOG_TO_FILE: 'no effect: an empty LLM_ROUTER_LOG_FILENAME disables the log file',
  AUTH_RATE_LIMIT_ENABLED: 'no effect: the limits of a key are set in its record in the keys file',
  AUTH_DEFAULT_RATE_LIMIT: 'no effect: the limits of a key are set in its record in the keys file',
  LANGCHAIN_RAG_DEVICE: 'no effect: embeddings are computed by a model server',
  LANGCHAIN_RAG_PERSIST_DIR:
    'no effect: stores of the Python llm-router cannot be read; `llm-router index` creates an index of the documents in LLM_ROUTER_INDEX_DIR',
  MAX_REQUEST_BODY_SIZE: 'no effect: LLM_ROUTER_BODY_LIMIT limits request bodies',
  ALLOW_UNPROTECTED: 'no effect: every protection that a variable enables is available',
}

const unsupported = new Set([
  'REDIS_TIMEOUT',
  'RATE_LIMITING_CONFIG',
  'AUTH_KEY_CACHE_TTL',
  'AUTH_KEY_CACHE_JITTER',
  'AUTH_KEY_PREFIX',
  'AUTH_KEY_LENGTH',
  'AUTH_AUDIT',
  'AUTH_ROTATION_GRACE_PERIOD',
  'SERVICES_MONITOR_INTERVAL_SECONDS',
  'KEEPALIVE_MODEL_MONITOR_INTERVAL_SECONDS',
  'PROVIDER_MONITOR_INTERVAL_SECONDS',
  'PROMETHEUS_MULTIPROC_DIR',
])
const unsupportedFamily = /^(?:AUTH_VAULT|AUTH_REDIS)_/
/** The Python llm-router documented these variables, but had no such plugin; here, examples are in models-config.json. */
const biencoder = /^ROUTING_SEMANTIC_BIENCODER_/

/** Variables that request content logging, which this router does not support. */
const contentAudits = new Set([
  'MASKING_WITH_AUDIT',
  'GUARDRAIL_WITH_AUDIT_REQUEST',
  'GUARDRAIL_WITH_AUDIT_RESPONSE',
])

interface NoteContext {
  serverType: 'single' | 'cluster'
}

/**
 * Kubernetes sets `<SERVICE>_SERVICE_HOST`, `<SERVICE>_PORT_80_TCP` and others in every container for each service in its
 * namespace; those of a service named llm-router have this prefix. Source: Kubernetes documentation, "Service", environment
 * variables.
 */
const serviceLink =
  /^(?:SERVICE_HOST|SERVICE_PORT(?:_\w+)?|PORT_\d+_(?:TCP|UDP|SCTP)(?:_(?:PROTO|PORT|ADDR))?)$/

/** Returns messages about variables, see LoadedConfig; `errors` prevent the start. Values are never shown. */
export function envNotes(
  env: Environment,
  supported: readonly string[],
  { serverType }: NoteContext,
): { notes: string[]; warnings: string[]; errors: string[] } {
  const notes: string[] = []
  const warnings: string[] = []
  const errors: string[] = []
  for (const [variable, value] of Object.entries(env).toSorted(([a], [b]) => (a < b ? -1 : 1))) {
    const text = value?.trim() ?? ''
    if (!variable.startsWith(prefix) || text === '') continue
    const name = variable.slice(prefix.length)
    const note = noteOn(name, text, serverType)
    if (contentAudits.has(name)) {
      if (readBoolean(text) !== false)
        errors.push(
          `${variable}: this router never stores the content of requests and responses, so there is nothing to audit; remove the variable`,
        )
    } else if (looksUnexpanded(text)) warnings.push(`${variable}: its value ${usedLiterally}`)
    else if (note !== undefined) notes.push(`${variable}: ${note}`)
    else if (!supported.includes(name) && !isServiceLink(name, text))
      warnings.push(unknownVariable(name, supported))
  }
  return { notes, warnings, errors }
}

function noteOn(name: string, text: string, serverType: 'single' | 'cluster'): string | undefined {
  if (Object.hasOwn(knownNotes, name)) return knownNotes[name]
  if (biencoder.test(name)) return 'no effect: examples for `auto` are in `auto_model` of models-config.json'
  if (unsupported.has(name) || unsupportedFamily.test(name)) return 'no effect in this router'
  if (name === 'SERVER_TYPE' && text.toLowerCase() !== serverType) return `means "${serverType}" here`
  if (name === 'SERVER_WORKERS_COUNT' && serverType === 'single')
    return 'no effect unless LLM_ROUTER_SERVER_TYPE is cluster'
  return undefined
}

function isServiceLink(name: string, text: string): boolean {
  return serviceLink.test(name) || (name === 'PORT' && /^(?:tcp|udp|sctp):\/\//i.test(text))
}

function unknownVariable(name: string, supported: readonly string[]): string {
  const closest = closestName(name.toUpperCase(), supported)
  const hint = closest === undefined ? '' : `; did you mean ${prefix}${closest}?`
  return `${prefix}${name} is unknown and has no effect${hint}`
}
