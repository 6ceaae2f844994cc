import type { Gateway } from './gateway.ts'

/**
 * SMG and vllm-router: gateways in Rust that are configured with the addresses of their workers and assume that each serves every
 * model. So there is one process for each upstream. Logs, metrics and worker checks stay at their defaults.
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
  // The benchmark's upstream has one response, so a worker's model list does not contain the model.
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
    '--worker-urls',
    `http://127.0.0.1:${upstreamPort}`,
    '--policy',
    'round_robin',
    '--host',
    '127.0.0.1',
    '--port',
    `${port}`,
    '--prometheus-port',
    `${metricsPort}`,
  ]
}
