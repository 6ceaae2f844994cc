import type { Behaviour, RecordedRequest, Script } from './scripted-upstream.ts'

/** vLLM's `/metrics`, in the format that vLLM writes. */
export function vllmMetrics({
  running = 0,
  waiting = 0,
  sleep = 'awake',
}: {
  running?: number
  waiting?: number
  sleep?: 'awake' | 'weights_offloaded' | 'discard_all'
} = {}): string {
  const labels = '{engine="0",model_name="tiny-vllm"}'
  const states = ['awake', 'weights_offloaded', 'discard_all'].map(
    (state) =>
      `vllm:engine_sleep_state{engine="0",model_name="tiny-vllm",sleep_state="${state}"} ${state === sleep ? '1.0' : '0.0'}`,
  )
  return [
    '# HELP python_gc_objects_collected_total Objects collected during gc',
    'python_gc_objects_collected_total{generation="0"} 14371.0',
    'process_start_time_seconds 1.76445e+09',
    '# HELP vllm:num_requests_running Number of requests in model execution batches.',
    '# TYPE vllm:num_requests_running gauge',
    `vllm:num_requests_running${labels} ${running}.0`,
    `vllm:num_requests_waiting${labels} ${waiting}.0`,
    'vllm:num_requests_waiting_by_reason{engine="0",model_name="tiny-vllm",reason="capacity"} 0.0',
    ...states,
    `vllm:kv_cache_usage_perc${labels} 0.25`,
    `vllm:prefix_cache_queries_total${labels} 8000.0`,
    `vllm:prefix_cache_hits_total${labels} 6000.0`,
    'vllm:cache_config_info{block_size="16",cache_dtype="auto",num_gpu_blocks="1000",engine="0"} 1.0',
    '',
  ].join('\n')
}

export function text(body: string): Behaviour {
  return { kind: 'reply', headers: { 'content-type': 'text/plain; version=0.0.4' }, body }
}

export const notFound: Behaviour = { kind: 'reply', status: 404, body: { detail: 'Not Found' } }

/** Answers by path; any other path is a 404. */
export function byPath(
  paths: Readonly<Record<string, Behaviour | ((request: RecordedRequest) => Behaviour | Promise<Behaviour>)>>,
): Script {
  return (request) => {
    const answer = paths[request.url.split('?')[0] ?? '']
    return typeof answer === 'function' ? answer(request) : (answer ?? notFound)
  }
}
