import { countOf, filledTextOf, isObject, objectsIn, parseJson, present } from '../../lib/json/read.ts'
import {
  type EngineListing,
  type EngineState,
  lmStudioInstanceListing,
  lmStudioListing,
  ollamaListing,
  openaiListing,
} from '../../sdk/engine-listings.ts'
import type { EngineKind, EngineLoadedModel, EngineSignals } from '../../sdk/engine-signals.ts'
import { metricsSignals } from './engine-metrics.ts'

/** One GET of a poll. */
export interface EngineRequest {
  /** From the root of the server. */
  readonly path: string
  /** Reads a response with status 200; undefined if it is not from this engine. */
  read(text: string): EngineSignals | undefined
}

const metrics: EngineRequest = { path: '/metrics', read: metricsSignals }

/** llama.cpp, tools/server/README.md, "GET /slots". Reports neither queue nor cache. */
const slots: EngineRequest = {
  path: '/slots',
  read(text) {
    const list = parseJson(text)
    if (!Array.isArray(list)) return undefined
    const all = objectsIn(list)
    return {
      slots: all.length,
      running: all.filter(({ is_processing: isProcessing }) => isProcessing === true).length,
      state: 'ready',
    }
  },
}

/** llama.cpp, "GET /props": reports slots even if the list of slots is disabled. */
const props: EngineRequest = {
  path: '/props',
  read(text) {
    const answer = parseJson(text)
    if (!isObject(answer)) return undefined
    const isAsleep = answer.is_sleeping === true
    return present({
      slots: countOf(answer.total_slots),
      state: isAsleep ? ('asleep' as const) : ('ready' as const),
    })
  },
}

/** SGLang, "GET /v1/loads": available without `--enable-metrics`. */
const loads: EngineRequest = {
  path: '/v1/loads',
  read(text) {
    const answer = parseJson(text)
    if (!isObject(answer) || !Array.isArray(answer.loads)) return undefined
    const all = objectsIn(answer.loads)
    const sum = (name: string): number | undefined => {
      const counts = all.flatMap((load) => countOf(load[name]) ?? [])
      return counts.length === 0 ? undefined : counts.reduce((total, each) => total + each, 0)
    }
    const uses = all.flatMap((load) => countOf(load.token_usage) ?? [])
    return present({
      running: sum('num_running_reqs'),
      waiting: sum('num_waiting_reqs'),
      kvUse: uses.length === 0 ? undefined : Math.min(1, uses.reduce((a, b) => a + b, 0) / uses.length),
      state: 'ready' as const,
    })
  },
}

/** SGLang, "GET /get_server_info": the arguments of the server. */
const serverInfo: EngineRequest = {
  path: '/get_server_info',
  read(text) {
    const answer = parseJson(text)
    return isObject(answer) ? present({ maxRunning: countOf(answer.max_running_requests) }) : undefined
  },
}

/**
 * Requests to each kind of engine, sent at the same time: llama.cpp does not notice that a client left while it is polled more
 * often than once a second. Responses are merged; earlier ones take precedence.
 */
export const engineRequests: Readonly<Record<EngineKind, readonly EngineRequest[]>> = {
  vllm: [metrics, listed(openaiListing)],
  sglang: [metrics, loads, serverInfo, listed(openaiListing)],
  llamacpp: [metrics, slots, props, listed(openaiListing)],
  ollama: [listed(ollamaListing)],
  lmstudio: [listed(lmStudioListing), listed(lmStudioInstanceListing)],
  metrics: [metrics],
}

function listed({ path, read }: EngineListing): EngineRequest {
  return {
    path,
    read(text) {
      const state = read(parseJson(text))
      if (!state) return undefined
      const holdsOne = state.isLlamaCpp && state.models.length === 1 && state.models[0]?.loaded
      return { loaded: loadedIn(state), ...(holdsOne ? { holdsOne } : {}), state: 'ready' }
    },
  }
}

function loadedIn({ models }: EngineState): EngineLoadedModel[] {
  return models
    .filter(({ loaded }) => loaded)
    .flatMap(({ names, context, running }) =>
      [...new Set(names)].map((name) => {
        const expiresAt = filledTextOf(running?.expires_at)
        return { name, ...present({ context, expiresAt }) }
      }),
    )
}
