import { tgiListing } from '../sdk/engine-listings.ts'
import type { ProviderType } from '../sdk/provider.ts'
import { bearerHeaders, openaiPaths, pathIn } from './openai-family.ts'

/**
 * Hugging Face's Text Generation Inference. Source: its documentation, "Messages API" and "HTTP API Reference".
 *
 * - Its own `/generate` accepts a prompt, but no messages; chats use the Messages API, which is OpenAI's chat completions.
 * - A server has one model and accepts any name. `/info` returns its name and limits; `/v1/models` only the name.
 * - A schema is sent as `value` of `response_format`: the type `json_schema` was added late and differs from OpenAI's.
 * - `top_p` must be below 1; this and the maximum number of stop sequences are in its profile.
 * - No token counts: `/chat_tokenize` returns a list of tokens, and does not support tools.
 */
export const tgi: ProviderType = {
  name: 'tgi',
  dialect: 'openai',
  flavour: {
    maxTokensField: 'max_tokens',
    schemaIn: 'value',
    namedToolChoice: true,
    customTools: false,
  },
  path: pathIn({ chat: openaiPaths.chat, completion: openaiPaths.completion }),
  authHeaders: bearerHeaders,
  needsHost: true,
  listings: [tgiListing],
  loadsModels: true,
  engine: 'metrics',
  healthPath: '/health',
}
