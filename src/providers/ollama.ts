import type { ProviderType } from '../core/provider.ts'
import { bearerHeaders } from './bearer.ts'

/**
 * Ollama, always through its own API: its OpenAI endpoint drops `num_ctx`, `keep_alive` and `tool_choice`, and
 * ends a broken stream without a word. Format: Ollama API reference, "Generate a chat completion".
 * Ollama itself asks for no key; hosted servers and reverse proxies in front of it read the bearer header.
 */
export const ollama: ProviderType = {
  name: 'ollama',
  dialect: 'ollama',
  flavour: {},
  path: (operation) => (operation === 'chat' ? '/api/chat' : undefined),
  authHeaders: bearerHeaders,
  needsHost: true,
}
