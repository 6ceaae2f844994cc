import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Upstream } from '../cases.ts'
import type { Gateway } from './gateway.ts'

/** One worker, no database; the access log and all else as it comes. */
export const litellm: Gateway = {
  name: 'LiteLLM',
  variable: 'LITELLM',
  prepare({ folder, port, upstreamPorts }) {
    const file = join(folder, 'config.yaml')
    writeFileSync(file, JSON.stringify(configOf(upstreamPorts))) // JSON is YAML too
    return {
      instances: [['--config', file, '--host', '127.0.0.1', '--port', `${port}`, '--num_workers', '1']],
      env: {
        // Nothing from the network and no `.env` of the folder it is started in.
        LITELLM_LOCAL_MODEL_COST_MAP: 'True',
        LITELLM_LOCAL_ANTHROPIC_BETA_HEADERS: 'True',
        LITELLM_MODE: 'PRODUCTION',
        // After 100 equal pieces it takes a model to be stuck and breaks the stream off; the bench's has 200 of them.
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
    // None of the proxies here asks a client for a key; without this it starts only when it may.
    general_settings: { dangerously_permit_weak_or_unset_master_key: true },
  }
}
