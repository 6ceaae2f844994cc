import { openaiListing } from '../sdk/engine-listings.ts'
import type { ProviderType } from '../sdk/provider.ts'
import { bearerHeaders, openaiPaths, pathIn } from './openai-family.ts'

/**
 * llama.cpp's own server, `llama-server`. Source: llama.cpp, tools/server/README.md.
 *
 * - It notices that the client of a whole answer has left only when a second passes without any result, which never
 *   happens while it serves others; a stream ends at once. So whole answers are asked for as streams and collected.
 * - `/health` is 503 `Loading model` until the model can answer.
 * - `developer` is not declared: the role reaches the model's chat template, and most templates refuse it.
 */
export const llamacpp: ProviderType = {
  name: 'llamacpp',
  dialect: 'openai',
  flavour: {
    maxTokensField: 'max_tokens',
    repetitionPenalty: 'repeat_penalty',
    samplingExtensions: ['top_k', 'min_p', 'typical_p'],
    jsonObject: true,
    namedToolChoice: false,
    reasoningHistory: ['reasoning_content'],
    reasoningEfforts: ['none', 'low', 'medium', 'high'],
  },
  path: pathIn({
    chat: openaiPaths.chat,
    completion: openaiPaths.completion,
    responses: openaiPaths.responses,
    embedding: openaiPaths.embedding,
    rerank: '/v1/rerank',
  }),
  authHeaders: bearerHeaders,
  needsHost: true,
  healthPath: '/health',
  listings: [openaiListing],
  loadsModels: true,
  collectsWholeAnswers: true,
}
