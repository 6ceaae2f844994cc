import { lmStudioInstanceListing, lmStudioListing } from '../sdk/engine-listings.ts'
import type { ProviderType } from '../sdk/provider.ts'
import { bearerHeaders, openaiPaths, pathIn } from './openai-family.ts'

/**
 * LM Studio's local server. Source: LM Studio documentation, "OpenAI Compatibility Endpoints".
 *
 * - `response_format` supports only `json_schema` and `text`; `json_object` returns 400.
 * - Reasoning of earlier turns is sent as `reasoning_content`, its name in responses ("Separate reasoning_content").
 * - `tool_choice` is a string (`none`, `auto`, `required`), never an object.
 * - Reasoning levels are those of gpt-oss, the only models for which `reasoning_effort` is documented.
 * - `ttl` is the number of idle seconds after which a model is unloaded ("Idle TTL and Auto-Evict").
 * - Its own chat, `/api/v1/chat`, accepts neither earlier responses nor the client's tools, so it is not used.
 * - `/api/v1/models` exists since 0.4; older servers have `/api/v0/models`.
 */
export const lmstudio: ProviderType = {
  name: 'lmstudio',
  dialect: 'openai',
  flavour: {
    maxTokensField: 'max_tokens',
    repetitionPenalty: 'repeat_penalty',
    samplingExtensions: ['top_k'],
    jsonObject: false,
    namedToolChoice: false,
    customTools: false,
    timeToLive: true,
    reasoningHistory: ['reasoning_content'],
    reasoningEfforts: ['low', 'medium', 'high'],
  },
  path: pathIn({
    chat: openaiPaths.chat,
    completion: openaiPaths.completion,
    responses: openaiPaths.responses,
    embedding: openaiPaths.embedding,
  }),
  authHeaders: bearerHeaders,
  needsHost: true,
  listings: [lmStudioInstanceListing, lmStudioListing],
  loadsModels: true,
  autoLimit: 'one',
  engine: 'lmstudio',
  loadsOnDemand: true,
  healthPath: '/v1/models',
}
