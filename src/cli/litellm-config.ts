import { isObject } from '../lib/json/read.ts'

/** The converted LiteLLM config.yaml. */
export interface ConvertedConfig {
  /** A models-config.json. */
  config: Record<string, unknown>
  /** Messages about settings without an equivalent, or that are set elsewhere; never a key. */
  notes: string[]
}

type Members = Record<string, unknown>

/** Provider types by LiteLLM's model prefix. `host`: default without `api_base`. */
const providers: Readonly<Record<string, { type: string; host?: string }>> = {
  openai: { type: 'openai', host: 'https://api.openai.com' },
  'text-completion-openai': { type: 'openai', host: 'https://api.openai.com' },
  custom_openai: { type: 'openai' },
  openai_like: { type: 'openai' },
  litellm_proxy: { type: 'openai' },
  vllm: { type: 'vllm' },
  hosted_vllm: { type: 'vllm' },
  ollama: { type: 'ollama', host: 'http://localhost:11434' },
  ollama_chat: { type: 'ollama', host: 'http://localhost:11434' },
  lm_studio: { type: 'lmstudio', host: 'http://localhost:1234' },
  llamafile: { type: 'llamacpp', host: 'http://localhost:8080' },
  huggingface: { type: 'tgi' },
  anthropic: { type: 'anthropic', host: 'https://api.anthropic.com' },
  gemini: { type: 'gemini', host: 'https://generativelanguage.googleapis.com' },
  groq: { type: 'openai', host: 'https://api.groq.com/openai' },
  mistral: { type: 'openai', host: 'https://api.mistral.ai' },
  deepseek: { type: 'openai', host: 'https://api.deepseek.com' },
  openrouter: { type: 'openai', host: 'https://openrouter.ai/api' },
  together_ai: { type: 'openai', host: 'https://api.together.xyz' },
  fireworks_ai: { type: 'openai', host: 'https://api.fireworks.ai/inference' },
  xai: { type: 'openai', host: 'https://api.x.ai' },
  cerebras: { type: 'openai', host: 'https://api.cerebras.ai' },
  nvidia_nim: { type: 'openai', host: 'https://integrate.api.nvidia.com' },
}

/** Environment variables that LiteLLM uses if no key is configured. */
const defaultKeyVariables: Readonly<Record<string, string>> = {
  openai: 'OPENAI_API_KEY',
  anthropic: 'ANTHROPIC_API_KEY',
  gemini: 'GEMINI_API_KEY',
  groq: 'GROQ_API_KEY',
  mistral: 'MISTRAL_API_KEY',
  deepseek: 'DEEPSEEK_API_KEY',
  openrouter: 'OPENROUTER_API_KEY',
  together_ai: 'TOGETHERAI_API_KEY',
  fireworks_ai: 'FIREWORKS_AI_API_KEY',
  xai: 'XAI_API_KEY',
  cerebras: 'CEREBRAS_API_KEY',
  nvidia_nim: 'NVIDIA_NIM_API_KEY',
}

const strategies: Readonly<Record<string, string>> = {
  'simple-shuffle': 'balanced',
  'least-busy': 'least_busy',
  'latency-based-routing': 'adaptive',
  'usage-based-routing': 'least_busy',
  'usage-based-routing-v2': 'least_busy',
}

/** Sampling members of `litellm_params`, which are defaults for requests. */
const defaultMembers = [
  'temperature',
  'top_p',
  'max_tokens',
  'frequency_penalty',
  'presence_penalty',
  'seed',
  'stop',
]

/** Other supported members of `litellm_params`; all others are reported. */
const readMembers = new Set([
  'model',
  'api_base',
  'base_url',
  'api_key',
  'weight',
  'rpm',
  'tpm',
  'max_parallel_requests',
  'drop_params',
  'additional_drop_params',
  'custom_llm_provider',
  ...defaultMembers,
])

const group = 'litellm'

/** Whether a document is LiteLLM's configuration rather than an export of keys. */
export function isLiteLlmConfig(value: unknown): value is Members {
  return isObject(value) && Array.isArray(value.model_list)
}

/**
 * Converts LiteLLM's config.yaml (https://docs.litellm.ai/docs/proxy/configs). References to environment variables
 * (`os.environ/NAME`) become `${NAME}`.
 */
export function convertLiteLlmConfig(root: Members): ConvertedConfig {
  const notes: string[] = []
  const ids = new Set<string>()
  const models = new Map<string, Members[]>()
  const servers: Members[] = []
  for (const [index, entry] of objectsOf(root.model_list).entries()) {
    const name = String(entry.model_name ?? '')
    const path = `model_list[${index}] (${name})`
    const provider = providerOf(entry, path, notes)
    if (!provider) continue
    if (name.includes('*')) addServer(servers, provider, path, notes)
    else models.set(name, [...(models.get(name) ?? []), { id: freeId(provider, ids), ...provider }])
  }
  const settings = { ...membersOf(root.litellm_settings), ...membersOf(root.router_settings) }
  const strategy = strategyOf(settings, notes)
  const fallbacks = fallbacksOf(settings, models, notes)
  noteSettings(root, settings, notes)
  const entries = [...models].map(([name, list]): [string, Members] => {
    const isWeighted = list.some(({ weight }) => weight !== undefined)
    const modelStrategy = isWeighted ? 'weighted' : strategy
    const modelFallbacks = fallbacks.get(name)
    return [
      name,
      {
        ...(modelStrategy === undefined ? {} : { strategy: modelStrategy }),
        ...(modelFallbacks ? { fallbacks: modelFallbacks } : {}),
        providers: list,
      },
    ]
  })
  const aliases = aliasesOf(settings, models, notes)
  return {
    config: {
      [group]: Object.fromEntries(entries),
      ...(servers.length > 0 ? { servers } : {}),
      ...(Object.keys(aliases).length > 0 ? { aliases } : {}),
      active_models: { [group]: [...models.keys()] },
    },
    notes,
  }
}

function providerOf(entry: Members, path: string, notes: string[]): Members | undefined {
  const params = membersOf(entry.litellm_params)
  const info = membersOf(entry.model_info)
  const [prefix, model] = splitModel(String(params.model ?? ''), params.custom_llm_provider)
  const known = Object.hasOwn(providers, prefix) ? providers[prefix] : undefined
  const base = textOf(params.api_base ?? params.base_url)
  const host = base === '' ? known?.host : base
  if (!known || host === undefined) {
    const why = known ? 'no api_base' : `the provider "${prefix}" has no equivalent`
    notes.push(`${path}: skipped, ${why}`)
    return undefined
  }
  const others = Object.keys(params).filter((name) => !readMembers.has(name))
  if (others.length > 0) notes.push(`${path}: no equivalent for ${others.join(', ')}`)
  const defaults = Object.fromEntries(
    defaultMembers.filter((name) => params[name] !== undefined).map((name) => [name, params[name]]),
  )
  const dropped = Array.isArray(params.additional_drop_params) ? params.additional_drop_params : []
  const weight = numberOf(params.weight)
  const maxParallel = numberOf(params.max_parallel_requests)
  const context = numberOf(info.max_input_tokens ?? info.max_tokens)
  if (params.rpm !== undefined || params.tpm !== undefined)
    notes.push(`${path}: rpm and tpm limit a client here, not a server; max_in_flight limits a server`)
  return {
    api_type: known.type,
    api_host: host,
    model_path: model,
    ...keyOf(params.api_key, base === '' ? defaultKeyVariables[prefix] : undefined),
    ...(weight === undefined ? {} : { weight: Math.min(1, weight) }),
    ...(maxParallel === undefined ? {} : { max_in_flight: maxParallel }),
    ...(context === undefined ? {} : { input_size: context }),
    ...(info.mode === 'embedding' ? { is_embedding: true } : {}),
    ...(Object.keys(defaults).length > 0 ? { defaults } : {}),
    ...(dropped.length > 0 ? { drop_params: dropped } : {}),
  }
}

/** Splits `openai/gpt-4o` into provider and model. Without a provider, LiteLLM guesses it from the name. */
function splitModel(model: string, named: unknown): [provider: string, model: string] {
  if (typeof named === 'string' && named !== '') return [named, model.replace(`${named}/`, '')]
  const slash = model.indexOf('/')
  if (slash > 0) return [model.slice(0, slash), model.slice(slash + 1)]
  if (model.startsWith('claude')) return ['anthropic', model]
  return [model.startsWith('gemini') ? 'gemini' : 'openai', model]
}

function keyOf(key: unknown, variable: string | undefined): Members {
  const text = textOf(key)
  if (text !== '') return { api_token: text }
  return variable === undefined ? {} : { api_token: `\${${variable}}` }
}

/** Returns a string, with `os.environ/NAME` converted to `${NAME}`. */
function textOf(value: unknown): string {
  if (typeof value !== 'string') return ''
  const [, name] = /^os\.environ\/(\w+)$/.exec(value.trim()) ?? []
  return name === undefined ? value.trim() : `\${${name}}`
}

/** Adds a server for an entry whose name is a pattern: all its models are published. */
function addServer(servers: Members[], provider: Members, path: string, notes: string[]): void {
  const { model_path: _, ...server } = provider
  if (!String(provider.model_path).endsWith('*')) {
    notes.push(`${path}: skipped: a name pattern for a single model has no equivalent`)
    return
  }
  servers.push({ id: `${provider.api_type}-${servers.length + 1}`, ...server, models: '*' })
  notes.push(`${path}: all models of the server are published under their own names`)
}

/** Returns an unused id. It contains no address, because ids are logged. */
function freeId({ api_type: type, model_path: model }: Members, ids: Set<string>): string {
  const base = `${type}/${model}`
  let id = base
  for (let number = 2; ids.has(id); number++) id = `${base}-${number}`
  ids.add(id)
  return id
}

function strategyOf({ routing_strategy: named }: Members, notes: string[]): string | undefined {
  if (named === undefined) return undefined
  const known = Object.hasOwn(strategies, String(named)) ? strategies[String(named)] : undefined
  if (known === undefined) notes.push(`routing_strategy: no equivalent for "${named}"; the default is used`)
  return known
}

function fallbacksOf(
  settings: Members,
  models: ReadonlyMap<string, unknown>,
  notes: string[],
): Map<string, string[]> {
  const found = new Map<string, string[]>()
  for (const [name, list] of objectsOf(settings.fallbacks).flatMap(Object.entries)) {
    const usable = Array.isArray(list) ? list.map(String).filter((other) => models.has(other)) : []
    if (models.has(name) && usable.length > 0) found.set(name, usable)
    else notes.push(`fallbacks of "${name}": skipped: one of its models is not in model_list`)
  }
  for (const name of ['context_window_fallbacks', 'content_policy_fallbacks', 'default_fallbacks'])
    if (settings[name] !== undefined) notes.push(`${name}: no equivalent; fallbacks are for failures only`)
  return found
}

function aliasesOf(
  { model_group_alias: aliases }: Members,
  models: ReadonlyMap<string, unknown>,
  notes: string[],
): Record<string, string> {
  const entries = Object.entries(membersOf(aliases)).flatMap(([alias, target]): [string, string][] => {
    const model = String(isObject(target) ? target.model : target)
    if (models.has(model)) return [[alias, model]]
    notes.push(`model_group_alias "${alias}": skipped: the model is not in model_list`)
    return []
  })
  return Object.fromEntries(entries)
}

const equivalents: Readonly<Record<string, string>> = {
  master_key: 'LLM_ROUTER_ADMIN_KEY sets the operator key',
  database_url:
    'LLM_ROUTER_DATABASE_URL; keys and teams: llm-router import litellm with the exports of its API',
  request_timeout: 'LLM_ROUTER_EXTERNAL_TIMEOUT',
  timeout: 'LLM_ROUTER_EXTERNAL_TIMEOUT',
  redis_host: 'LLM_ROUTER_REDIS_HOST and others',
  redis_url: 'LLM_ROUTER_REDIS_URL',
  cache: 'a cache in `processors`, or LLM_ROUTER_CACHE=1: docs/cache.md',
  callbacks: 'metrics, traces and logs are built in: docs/observability.md',
  success_callback: 'metrics, traces and logs are built in: docs/observability.md',
}

function noteSettings(root: Members, settings: Members, notes: string[]): void {
  const all = { ...membersOf(root.general_settings), ...settings }
  for (const [name, equivalent] of Object.entries(equivalents))
    if (all[name] !== undefined) notes.push(`${name}: ${equivalent}`)
}

function membersOf(value: unknown): Members {
  return isObject(value) ? value : {}
}

function objectsOf(value: unknown): Members[] {
  return Array.isArray(value) ? value.filter(isObject) : []
}

function numberOf(value: unknown): number | undefined {
  const number = typeof value === 'string' ? Number(value) : value
  return typeof number === 'number' && Number.isFinite(number) && number > 0 ? number : undefined
}
