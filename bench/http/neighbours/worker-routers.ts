import type { Gateway } from './gateway.ts'

/**
 * SMG and vllm-router: gateways in Rust that are told the addresses of their workers and take each of them to serve every model. So
 * there is a process for each upstream. Their logs, metrics and checks of the workers stay as they come.
 */
export const smg: Gateway = {
  name: 'SMG',
  variable: 'SMG',
  prepare: ({ ports, metricsPorts, upstreamPorts }) => ({
    instances: (['openaiWhole', 'openaiStream'] as const).map((upstream) => [
      'launch',
      ...workerArgs(ports[upstream], metricsPorts[upstream], upstreamPorts[upstream]),
    ]),
  }),
  // The upstream of the benchmark has one answer, so a worker's list of models does not name it.
  modelFor: () => 'unknown',
}

export const vllmRouter: Gateway = {
  name: 'vllm-router',
  variable: 'VLLM_ROUTER',
  prepare: ({ ports, metricsPorts, upstreamPorts }) => ({
    instances: (['openaiWhole', 'openaiStream'] as const).map((upstream) =>
      workerArgs(ports[upstream], metricsPorts[upstream], upstreamPorts[upstream]),
    ),
  }),
}

function workerArgs(port: number, metricsPort: number, upstreamPort: number): string[] {
  return [
    ...['--worker-urls', `http://127.0.0.1:${upstreamPort}`, '--policy', 'round_robin'],
    ...['--host', '127.0.0.1', '--port', `${port}`, '--prometheus-port', `${metricsPort}`],
  ]
}
