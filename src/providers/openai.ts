import { openaiListing } from '../sdk/engine-listings.ts'
import type { ProviderType } from '../sdk/provider.ts'
import { bearerHeaders, openaiPaths, pathIn } from './openai-family.ts'

/**
 * OpenAI, and in many configurations any server with its chat completions API (Gemini, Mistral, llama.cpp). Format: OpenAI API
 * reference, "Create chat completion".
 *
 * The flavour applies to translated requests only: requests of OpenAI clients are forwarded unchanged.
 * - `max_completion_tokens`: OpenAI's reasoning models reject `max_tokens`. For servers that only support the older name, use
 *   the type `vllm`, which sends it.
 * - No sampling extensions and no multiplicative penalty: OpenAI returns 400 for unknown fields, so they are reported as
 *   dropped. For llama.cpp, the type `vllm` sends them.
 * - `reasoning_content`: DeepSeek, Kimi and others require their own reasoning to be sent back. OpenAI's models return none;
 *   their profiles exclude it.
 * - No list of reasoning levels, because it differs between models: a level is sent as the client named it.
 */
export const openai: ProviderType = {
  name: 'openai',
  dialect: 'openai',
  flavour: {
    maxTokensField: 'max_completion_tokens',
    promptOptions: true,
    developerRole: true,
    jsonObject: true,
    namedToolChoice: true,
    reasoningHistory: ['reasoning_content'],
  },
  path: pathIn(openaiPaths),
  maxBatch: 2048, // API reference, "Create embeddings"
  authHeaders: bearerHeaders,
  needsHost: true,
  listings: [openaiListing],
}
