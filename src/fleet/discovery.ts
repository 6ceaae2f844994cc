import { once } from 'node:events'
import { connect } from 'node:net'
import {
  type FoundModel,
  type FoundServer,
  lmStudioInstanceModel,
  lmStudioModel,
  ollamaModel,
  openaiModel,
  tgiModel,
} from '../config/models/discovered.ts'
import type { ProxyRule } from '../config/proxy-rule.ts'
import { ConnectError } from '../lib/connect-error.ts'
import { withoutTrailingSlashes } from '../lib/endpoint-paths.ts'
import { isObject } from '../lib/json/read.ts'
import { askOnce } from '../relay/upstream/ask-once.ts'
import { type EngineState, ollamaListing, openaiListing } from '../sdk/engine-listings.ts'

/** Default ports of Ollama, vLLM, LM Studio, llama.cpp and SGLang; TGI has no fixed one. */
const defaultPorts = [11434, 8000, 1234, 8080, 30000]

export interface Discovery {
  servers: FoundServer[]
  /** Hosts without a model server, and invalid hosts. */
  hostsWithoutServer: string[]
}

export interface DiscoveryOptions {
  /** Without it, servers are reached directly. */
  proxyOf?: ProxyRule
  /** Called when a server cannot be reached for a specific reason; see connect-error.ts. */
  onConnectError?: (url: string, error: ConnectError) => void
}

interface Search extends DiscoveryOptions {
  signal: AbortSignal
}

/**
 * Searches for model servers. A host is a name or address, with or without a port, or a URL; without a port, the
 * default ports are tried. Aborting `signal` ends the search without results. Never rejects because of a server's
 * behaviour.
 */
export async function discover(
  hosts: readonly string[],
  signal: AbortSignal,
  options: DiscoveryOptions = {},
): Promise<Discovery> {
  const searching: Search = { ...options, signal }
  const searches = hosts.map(async (host, index) => {
    const found = await Promise.all(
      addressesOf(host).map((url) => identifyServer(url, labelOf(url, index), searching)),
    )
    return { host, servers: found.filter((server) => server !== undefined) }
  })
  const results = await Promise.all(searches)
  return {
    servers: results.flatMap(({ servers }) => servers),
    hostsWithoutServer: results.filter(({ servers }) => servers.length === 0).map(({ host }) => host),
  }
}

/** Whether a host is a name, an address or a URL that can be searched. */
export function isHost(host: string): boolean {
  return addressesOf(host).length > 0
}

function addressesOf(host: string): string[] {
  const bare = /:\/\//.test(host) ? host : `http://${/^[^[\]]*:[^[\]]*:/.test(host) ? `[${host}]` : host}`
  const url = URL.parse(bare)
  if (!url || !/^https?:$/.test(url.protocol) || url.username !== '') return []
  // URL drops the default port of a scheme, so the string is checked.
  if (host.includes('://') || /:\d+$/.test(bare)) return [withoutTrailingSlashes(bare)]
  if (host.includes('/')) return []
  return defaultPorts.map((port) => `http://${url.hostname}:${port}`)
}

function labelOf(url: string, index: number): string {
  const { hostname } = new URL(url)
  if (['localhost', '127.0.0.1', '[::1]'].includes(hostname)) return 'local'
  return /^[\d.]+$|^\[/.test(hostname) ? `server${index + 1}` : (hostname.split('.')[0] ?? hostname)
}

/** Identifies each kind of server by its own form of model list. */
async function identifyServer(
  url: string,
  hostLabel: string,
  search: Search,
): Promise<FoundServer | undefined> {
  const { proxyOf = () => undefined, signal } = search
  if (proxyOf(url) === undefined && !(await isListening(new URL(url), signal))) return undefined
  const paths = ['/api/tags', '/api/v1/models', '/api/v0/models', '/v1/models', '/api/ps', '/info']
  const [tags, own, older, plain, running, info] = await Promise.all(
    paths.map((path) => fetchJson(url + path, undefined, search)),
  )
  // An llm-router implements all of these APIs; it may even be this process.
  if (isObject(tags) && 'response_time' in tags) return undefined
  const models = entriesOf(plain, openaiModel)
  const type = typeOf(plain)
  // SGLang and some versions of llama.cpp have Ollama's paths too.
  if (isObject(tags) && Array.isArray(tags.models) && type === 'openai') {
    const names = tags.models.flatMap((entry: unknown) =>
      isObject(entry) && typeof entry.name === 'string' ? [entry.name] : [],
    )
    const shown = await showAll(url, { names, running: ollamaListing.read(running) }, search)
    return { type: 'ollama', url, hostLabel, models: shown }
  }
  const studio = [...entriesOf(own, lmStudioInstanceModel), ...entriesOf(older, lmStudioModel)]
  if (studio.length > 0) return { type: 'lmstudio', url, hostLabel, models: byName(studio) }
  const served = tgiModel(info)
  if (served) return { type: 'tgi', url, hostLabel, models: [served] }
  if (models.length === 0) return undefined
  return {
    type,
    url,
    hostLabel,
    models: (await isEmbeddingServer(url, type, plain, search)) ? models.map(asEmbedding) : models,
  }
}

/** Both lists of LM Studio have the same models; the newer one comes first. */
function byName(models: readonly FoundModel[]): FoundModel[] {
  return [...new Map(models.toReversed().map((model) => [model.name, model])).values()].reverse()
}

function asEmbedding(model: FoundModel): FoundModel {
  return { ...model, embedding: true }
}

/**
 * Whether a server with one model only embeds: vLLM has no path for chats then, SGLang says so, and llama.cpp embeds only
 * when it was started for it, with an embedding model.
 */
async function isEmbeddingServer(
  url: string,
  type: EngineType,
  list: unknown,
  search: Search,
): Promise<boolean> {
  switch (type) {
    case 'vllm': {
      const document = await fetchJson(`${url}/openapi.json`, undefined, search)
      const paths = isObject(document) && isObject(document.paths) ? document.paths : {}
      return '/v1/embeddings' in paths && !('/v1/chat/completions' in paths)
    }
    case 'sglang': {
      const info =
        (await fetchJson(`${url}/model_info`, undefined, search)) ??
        (await fetchJson(`${url}/get_model_info`, undefined, search))
      return isObject(info) && info.is_generation === false
    }
    case 'llamacpp': {
      // In router mode the list says so, and a request would load a model.
      if (openaiListing.read(list)?.anyName === false) return false
      const vectors = await fetchJson(`${url}/v1/embeddings`, { input: 'a' }, search)
      return isObject(vectors) && Array.isArray(vectors.data)
    }
    case 'openai':
      return false
  }
}

type EngineType = 'llamacpp' | 'vllm' | 'sglang' | 'openai'

/** Checks the port first: most are closed. */
async function isListening({ protocol, hostname, port }: URL, signal: AbortSignal): Promise<boolean> {
  const usual = protocol === 'https:' ? 443 : 80
  const socket = connect({
    host: hostname.replace(/^\[(.*)\]$/, '$1'),
    port: port === '' ? usual : Number(port),
  })
  try {
    await once(socket, 'connect', { signal })
    return true
  } catch {
    return false
  } finally {
    socket.destroy()
  }
}

function showAll(
  url: string,
  { names, running }: { names: readonly string[]; running: EngineState | undefined },
  search: Search,
): Promise<FoundModel[]> {
  const show = (model: string): Promise<unknown> => fetchJson(`${url}/api/show`, { model }, search)
  return Promise.all(names.map(async (name) => ollamaModel(name, await show(name), running)))
}

function entriesOf(list: unknown, read: (entry: unknown) => FoundModel | undefined): FoundModel[] {
  const data: unknown[] = isObject(list) ? ([list.data, list.models].find(Array.isArray) ?? []) : []
  return data.map(read).filter((model) => model !== undefined)
}

function typeOf(list: unknown): EngineType {
  if (openaiListing.read(list)?.isLlamaCpp) return 'llamacpp'
  const data: unknown[] = isObject(list) && Array.isArray(list.data) ? list.data : []
  if (data.some((entry) => isObject(entry) && entry.owned_by === 'sglang')) return 'sglang'
  const isVllm = data.some(
    (entry) => isObject(entry) && (entry.owned_by === 'vllm' || 'max_model_len' in entry),
  )
  return isVllm ? 'vllm' : 'openai'
}

async function fetchJson(
  url: string,
  body: unknown,
  { proxyOf, onConnectError, signal }: Search,
): Promise<unknown> {
  const { origin, pathname, search } = new URL(url)
  const proxy = proxyOf?.(origin)
  const connection = proxy === undefined ? undefined : { proxy }
  try {
    const { status, text } = await askOnce({ origin, path: pathname + search, connection, body, signal })
    if (status >= 200 && status < 300) return JSON.parse(text)
  } catch (error) {
    // Any other error means that nothing listens there, or something else.
    if (error instanceof ConnectError) onConnectError?.(origin, error)
  }
  return undefined
}
