import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Upstream } from '../cases.ts'
import type { Gateway } from './gateway.ts'

/** One worker, no database; access log and other settings at their defaults. */
export const litellm: Gateway = {
  name: 'LiteLLM',
  variable: 'LITELLM',
  prepare({ folder, port, upstreamPorts }) {
    const file = join(folder, 'config.yaml')
    writeFileSync(file, JSON.stringify(configOf(upstreamPorts))) // JSON is YAML too
    return {
      instances: [['--config', file, '--host', '127.0.0.1', '--port', `${port}`, '--num_workers', '1']],
      env: {
        // Nothing from the network, and no `.env` of the folder in which it is started.
        LITELLM_LOCAL_MODEL_COST_MAP: 'True',
        LITELLM_LOCAL_ANTHROPIC_BETA_HEADERS: 'True',
        LITELLM_MODE: 'PRODUCTION',
        // After 100 equal chunks it assumes that a model is stuck and aborts the stream; the benchmark's stream has 200.
        REPEATED_STREAMING_CHUNK_LIMIT: '1000000',
      },
    }
  },
}

function configOf(upstreamPorts: Record<Upstream, number>): object {
  const models = (['openaiWhole', 'openaiStream'] as const).map((upstream) => ({
    model_name: upstream,
    litellm_params: {
      model: 'openai/served/model-8b',
      api_base: `http://127.0.0.1:${upstreamPorts[upstream]}/v1`,
      api_key: 'k',
    },
  }))
  return {
    model_list: models,
    litellm_settings: { telemetry: false },
    // No proxy here requires a client key; without this setting it refuses to start without one.
    general_settings: { dangerously_permit_weak_or_unset_master_key: true },
  }
}
