import type { ProviderType } from '../sdk/provider.ts'
import { pathIn } from './openai-family.ts'

/**
 * Anthropic, and servers that speak its Messages API. Format: Anthropic API reference, "Create a Message"; the version
 * header and its value are required ("Versions"). A request is written by that version, whatever the client's own is.
 */
export const anthropic: ProviderType = {
  name: 'anthropic',
  dialect: 'anthropic',
  flavour: {},
  path: pathIn({ chat: '/v1/messages', count: '/v1/messages/count_tokens' }),
  authHeaders: (token) => ({
    'anthropic-version': '2023-06-01',
    ...(token ? { 'x-api-key': token } : {}),
  }),
  needsHost: true,
  forwardedHeaders: ['anthropic-version', 'anthropic-beta'],
}
