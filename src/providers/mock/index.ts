import type { ProviderType } from '../../sdk/provider.ts'
import { systemClock } from './call.ts'
import { mockTransport } from './transport.ts'

/**
 * The embedded model: answers in the router itself, for people who test their own programs without a GPU, a network
 * or a key. It takes and gives OpenAI chat completions, so clients of every dialect reach it as they would reach a
 * real server. The flavour declares everything, because nothing that a client sends can do harm here.
 */
export const mock: ProviderType = {
  name: 'mock',
  dialect: 'openai',
  flavour: {
    maxTokensField: 'max_tokens',
    repetitionPenalty: 'repetition_penalty',
    samplingExtensions: ['top_k', 'min_p', 'typical_p'],
    developerRole: true,
    jsonObject: true,
    namedToolChoice: true,
    reasoningHistory: ['reasoning_content'],
  },
  path: (operation) => (operation === 'chat' ? '/v1/chat/completions' : undefined),
  authHeaders: () => ({}),
  needsHost: false,
  createTransport: (target) => mockTransport(target, { clock: systemClock, random: Math.random }),
}
