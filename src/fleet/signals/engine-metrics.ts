import { present } from '../../lib/json/read.ts'
import type { EngineSignals } from '../../sdk/engine-signals.ts'
import { type MetricSample, metricsIn } from './prometheus-text.ts'

/** Names of each signal's metric by engine. The first name found is used. */
const names = {
  running: [
    'vllm:num_requests_running',
    'sglang:num_running_reqs',
    'llamacpp:requests_processing',
    'tgi_batch_current_size',
  ],
  waiting: [
    'vllm:num_requests_waiting',
    'sglang:num_queue_reqs',
    'llamacpp:requests_deferred',
    'tgi_queue_size',
  ],
  // The second name is used by older versions.
  kvUse: [
    'vllm:kv_cache_usage_perc',
    'vllm:gpu_cache_usage_perc',
    'sglang:token_usage',
    'llamacpp:kv_cache_usage_ratio',
  ],
  hits: [
    'vllm:prefix_cache_hits_total',
    'vllm:gpu_prefix_cache_hits_total',
    'llamacpp:prompt_tokens_cached_total',
  ],
  queries: ['vllm:prefix_cache_queries_total', 'vllm:gpu_prefix_cache_queries_total'],
  /** Prompt tokens that were not cached, for engines that do not count queries. */
  processed: ['llamacpp:prompt_tokens_total'],
  hitRate: ['sglang:cache_hit_rate'],
  maxRunning: ['sglang:max_running_requests'],
  kvTokens: ['sglang:max_total_num_tokens'],
  cacheConfig: ['vllm:cache_config_info'],
  sleep: ['vllm:engine_sleep_state'],
  startedAt: ['process_start_time_seconds'],
} as const

const wanted: ReadonlySet<string> = new Set(Object.values(names).flat())

/** Reads `/metrics` of vLLM, SGLang, llama.cpp or TGI; undefined for any other text. */
export function metricsSignals(text: string): EngineSignals | undefined {
  const found = metricsIn(text, wanted)
  const of = (signal: keyof typeof names): readonly MetricSample[] | undefined =>
    names[signal].map((name) => found.get(name)).find((samples) => samples !== undefined)
  const isEngine = [...found.keys()].some((name) => name !== 'process_start_time_seconds')
  if (!isEngine) return undefined
  const hits = sumOf(of('hits'))
  const processed = sumOf(of('processed'))
  const queries =
    sumOf(of('queries')) ?? (hits === undefined || processed === undefined ? undefined : hits + processed)
  const sleep = sleepOf(of('sleep'))
  return present({
    running: sumOf(of('running')),
    waiting: sumOf(of('waiting')),
    kvUse: shareOf(of('kvUse')),
    kvTokens: sumOf(of('kvTokens')) ?? cacheTokens(of('cacheConfig')),
    cacheHitTokens: hits,
    cacheQueryTokens: queries,
    cacheHitRate: shareOf(of('hitRate')),
    maxRunning: sumOf(of('maxRunning')),
    state: sleep === undefined ? ('ready' as const) : ('asleep' as const),
    sleep,
    startedAt: of('startedAt')?.[0]?.value,
  })
}

/** Aggregated over the replicas of an engine, each of which has its own samples. */
function sumOf(samples: readonly MetricSample[] | undefined): number | undefined {
  if (samples === undefined) return undefined
  return samples.reduce((sum, { value }) => sum + Math.max(0, value), 0)
}

function shareOf(samples: readonly MetricSample[] | undefined): number | undefined {
  if (samples === undefined || samples.length === 0) return undefined
  const mean = samples.reduce((sum, { value }) => sum + value, 0) / samples.length
  return Math.min(1, Math.max(0, mean))
}

/** Size of vLLM's cache in tokens; vLLM exports its configuration as labels. */
function cacheTokens(samples: readonly MetricSample[] | undefined): number | undefined {
  const sizes = samples?.map(
    ({ labels }) => Number(labels.num_gpu_blocks ?? Number.NaN) * Number(labels.block_size ?? Number.NaN),
  )
  const sum = sizes?.reduce((total, size) => total + size, 0) ?? Number.NaN
  return sum > 0 && Number.isFinite(sum) ? sum : undefined
}

/** The metric has one sample per state; the current state is 1. */
function sleepOf(samples: readonly MetricSample[] | undefined): EngineSignals['sleep'] {
  const states = new Set(samples?.filter(({ value }) => value > 0).map(({ labels }) => labels.sleep_state))
  if (states.has('discard_all')) return 'discard_all'
  return states.has('weights_offloaded') ? 'weights_offloaded' : undefined
}
