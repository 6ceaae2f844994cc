import { type FoundModel, lmStudioModel, ollamaModel, openaiModel } from '../../config/models/discovered.ts'
import type { FollowedServer } from '../../config/servers/followed.ts'
import type { ServerEndpoint } from '../../config/servers/published.ts'
import { joinUrl } from '../../config/targets/target-url.ts'
import { isObject, objectsIn, parseJson } from '../../lib/json/read.ts'
import { askOnce } from '../../relay/upstream/ask-once.ts'
import type { AllLookup } from '../../relay/upstream/checked-lookup.ts'
import { checkedLookup } from '../../relay/upstream/checked-lookup.ts'

export interface AskOptions {
  signal: AbortSignal
  allowLinkLocal: boolean
  lookup?: AllLookup | undefined
}

/** Details of models already requested, by name and digest: Ollama returns them one at a time. */
export type KnownModels = Map<string, FoundModel>

/** The models that a server lists; undefined if it does not return a list. Never rejects. */
export async function listModels(
  server: FollowedServer,
  endpoint: ServerEndpoint,
  known: KnownModels,
  options: AskOptions,
): Promise<FoundModel[] | undefined> {
  const ask = (path: string, body?: unknown): Promise<unknown> =>
    askServer(server, endpoint, { path, body }, options)
  switch (kindOf(server)) {
    case 'ollama':
      return ollamaModels(ask, known)
    case 'lmstudio':
      return entries(await ask('/api/v0/models'), 'data', lmStudioEntry) ?? openaiModels(ask)
    case 'gemini':
      return entries(await ask('/v1beta/models?pageSize=1000'), 'models', geminiModel)
    case 'anthropic':
      return entries(await ask('/v1/models?limit=1000'), 'data', openaiEntry)
    case 'openai':
      return openaiModels(ask)
  }
}

type Ask = (path: string, body?: unknown) => Promise<unknown>

/** How a server lists its models. Provider types of extensions use the list of their dialect. */
function kindOf({
  type,
  apiType,
}: FollowedServer): 'ollama' | 'lmstudio' | 'gemini' | 'anthropic' | 'openai' {
  if (apiType.trim().toLowerCase() === 'lmstudio') return 'lmstudio'
  const dialect = type?.dialect
  return dialect === 'ollama' || dialect === 'gemini' || dialect === 'anthropic' ? dialect : 'openai'
}

async function openaiModels(ask: Ask): Promise<FoundModel[] | undefined> {
  return entries(await ask('/v1/models'), 'data', openaiEntry)
}

async function ollamaModels(ask: Ask, known: KnownModels): Promise<FoundModel[] | undefined> {
  const tags = await ask('/api/tags')
  if (!isObject(tags) || !(Array.isArray(tags.models) || tags.models === null)) return undefined
  const models = objectsIn(tags.models).flatMap((entry): { name: string; key: string; entry: object }[] => {
    const name = entry.name ?? entry.model
    return typeof name === 'string' && name !== ''
      ? [{ name, key: JSON.stringify([name, entry.digest]), entry }]
      : []
  })
  const keys = new Set(models.map(({ key }) => key))
  for (const key of known.keys()) if (!keys.has(key)) known.delete(key)
  const found: FoundModel[] = []
  for (const { name, key, entry } of models) {
    let model = known.get(key)
    if (!model) {
      const shown = await ask('/api/show', { model: name })
      model = ollamaModel(name, isObject(shown) ? shown : entry)
      if (isObject(shown)) known.set(key, model)
    }
    found.push(model)
  }
  return found
}

/** The context length of a loaded model changes, so it is requested where it is needed. */
function lmStudioEntry(entry: unknown): FoundModel | undefined {
  const model = lmStudioModel(entry)
  return model && !model.embedding ? { ...model, context: 0 } : model
}

/** Names of embedding models, for servers that do not report the capability. */
const embeddingName = /embed|(?:^|[/_-])(?:bge|e5|gte)-(?!.*rerank)|minilm/i

function openaiEntry(entry: unknown): FoundModel | undefined {
  const model = openaiModel(entry)
  return model && embeddingName.test(model.name) ? { ...model, embedding: true } : model
}

/** https://ai.google.dev/api/models */
function geminiModel(entry: unknown): FoundModel | undefined {
  if (!isObject(entry) || typeof entry.name !== 'string') return undefined
  const methods: unknown[] = Array.isArray(entry.supportedGenerationMethods)
    ? entry.supportedGenerationMethods
    : []
  return {
    name: entry.name.replace(/^models\//, ''),
    context: typeof entry.inputTokenLimit === 'number' ? entry.inputTokenLimit : 0,
    embedding: methods.includes('embedContent'),
    capabilities: undefined,
    details: {},
  }
}

/** Undefined if the body is not such a list. */
function entries(
  answer: unknown,
  member: 'data' | 'models',
  read: (entry: unknown) => FoundModel | undefined,
): FoundModel[] | undefined {
  const list: unknown = isObject(answer) ? answer[member] : undefined
  if (!Array.isArray(list)) return undefined
  const models = list.map(read).filter((model) => model !== undefined)
  return [...new Map(models.map((model) => [model.name, model])).values()]
}

async function askServer(
  { host = '', type, token, connection }: FollowedServer,
  { address, port }: ServerEndpoint,
  { path, body }: { path: string; body: unknown },
  { signal, allowLinkLocal, lookup }: AskOptions,
): Promise<unknown> {
  const url = joinUrl(host, path)
  const headers =
    type?.authHeaders(token) ?? (token === undefined ? {} : { authorization: `Bearer ${token}` })
  try {
    const { status, text } = await askOnce({
      ...url,
      connection:
        address === undefined
          ? connection
          : { ...connection, address, ...(port === undefined ? {} : { port }) },
      headers,
      body,
      signal,
      ...(allowLinkLocal
        ? {}
        : { lookup: checkedLookup({ onRefused: () => undefined, ...(lookup ? { lookup } : {}) }) }),
    })
    return status >= 200 && status < 300 ? parseJson(text) : undefined
  } catch {
    return undefined // a server that does not answer keeps what it had; health checks report it
  }
}
