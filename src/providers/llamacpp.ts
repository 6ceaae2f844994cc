import { openaiListing } from '../sdk/engine-listings.ts'
import type { ProviderType } from '../sdk/provider.ts'
import { bearerHeaders, openaiPaths, pathIn } from './openai-family.ts'

/**
 * llama.cpp's own server, `llama-server`. Source: llama.cpp, tools/server/README.md.
 *
 * - During a non-streaming request it notices a disconnected client only after a second without results from any request, which
 *   does not happen while it serves others; it ends a stream at once. Therefore non-streaming requests are sent as streams.
 * - In router mode (no model on the command line) it serves many models, loads the one named in the body, and lists all of them
 *   with their state.
 * - `/health` is 503 `Loading model` until the model can answer.
 * - `/tokenize` accepts text but no messages; `/v1/messages/count_tokens` counts the rendered chat exactly.
 * - `developer` is not declared: the role reaches the model's chat template, and most templates reject it.
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
    customTools: false,
    reasoningHistory: ['reasoning_content'],
    reasoningEfforts: ['none', 'low', 'medium', 'high'],
  },
  path: pathIn({
    chat: openaiPaths.chat,
    completion: openaiPaths.completion,
    responses: openaiPaths.responses,
    embedding: openaiPaths.embedding,
    rerank: '/v1/rerank',
    count: '/v1/messages/count_tokens',
    tokenize: '/tokenize',
    detokenize: '/detokenize',
    infill: '/infill',
    transcription: openaiPaths.transcription,
  }),
  tokenizes: 'content',
  countDialect: 'anthropic',
  authHeaders: bearerHeaders,
  needsHost: true,
  healthPath: '/health',
  listings: [openaiListing],
  loadsModels: true,
  autoLimit: 'slots',
  engine: 'llamacpp',
  loadsOnDemand: true,
  collectsWholeAnswers: true,
}
