import type { ProviderType } from '../sdk/provider.ts'
import { pathIn } from './openai-family.ts'

/**
 * Anthropic and servers with its Messages API. Format: Anthropic API reference, "Create a Message". The version header is
 * required ("Versions"); translated requests are written for that version, whichever the client uses.
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
