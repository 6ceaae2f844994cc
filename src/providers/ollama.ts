import { ollamaListing } from '../sdk/engine-listings.ts'
import type { ProviderType } from '../sdk/provider.ts'
import { bearerHeaders, pathIn } from './openai-family.ts'

/**
 * Ollama, always through its native API: its OpenAI endpoint drops `num_ctx`, `keep_alive` and `tool_choice`, and ends a broken
 * stream without an error. Format: Ollama API reference, "Generate a chat completion", "Generate a completion", "Generate
 * embeddings". Ollama itself requires no key; the bearer header is for hosted servers and reverse proxies in front of it.
 */
export const ollama: ProviderType = {
  name: 'ollama',
  dialect: 'ollama',
  flavour: {},
  path: pathIn({ chat: '/api/chat', completion: '/api/generate', embedding: '/api/embed' }),
  authHeaders: bearerHeaders,
  needsHost: true,
  listings: [ollamaListing],
  loadsModels: true,
  autoLimit: 'one',
  engine: 'ollama',
  loadsOnDemand: true,
  healthPath: '/api/version',
}
