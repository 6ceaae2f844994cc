import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Upstream } from '../cases.ts'
import type { Gateway } from './gateway.ts'

/**
 * As documented for a vLLM server: a custom provider based on the OpenAI one, for each upstream because a provider has one
 * address. https://docs.getbifrost.ai/quickstart/gateway/provider-configuration
 */
export const bifrost: Gateway = {
  name: 'Bifrost',
  variable: 'BIFROST',
  prepare({ folder, port, upstreamPorts }) {
    const prices = join(folder, 'prices.json')
    writeFileSync(prices, '{}')
    writeFileSync(join(folder, 'config.json'), JSON.stringify(configOf(upstreamPorts, prices)))
    return { instances: [['-app-dir', folder, '-host', '127.0.0.1', '-port', `${port}`]] }
  },
  modelFor: (upstream) => `${providerOf(upstream)}/served/model-8b`,
}

function providerOf(upstream: Upstream): string {
  return upstream === 'openaiStream' ? 'bench-stream' : 'bench-whole'
}

function configOf(upstreamPorts: Record<Upstream, number>, prices: string): object {
  const providers = (['openaiWhole', 'openaiStream'] as const).map((upstream) => [
    providerOf(upstream),
    {
      keys: [{ name: `${providerOf(upstream)}-key`, value: 'k', models: ['*'], weight: 1 }],
      network_config: {
        base_url: `http://127.0.0.1:${upstreamPorts[upstream]}`,
        allow_private_network: true,
      },
      custom_provider_config: {
        base_provider_type: 'openai',
        // Listing models is not among them: the upstream has one response, which is not a list.
        allowed_requests: { chat_completion: true, chat_completion_stream: true },
      },
    },
  ])
  return {
    providers: Object.fromEntries(providers),
    // Its log stays enabled; a database of all requests and responses is more than the others keep. The database of its
    // settings also stays: without it some versions do not start (https://github.com/maximhq/bifrost/issues/3298).
    logs_store: { enabled: false },
    // Otherwise it downloads them at startup. https://docs.getbifrost.ai/deployment-guides/how-to/airgapped
    framework: { pricing: { pricing_url: `file://${prices}`, model_parameters_url: `file://${prices}` } },
  }
}
