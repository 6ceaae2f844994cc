import { openaiListing } from '../sdk/engine-listings.ts'
import type { ProviderType } from '../sdk/provider.ts'
import { bearerHeaders, openaiPaths, pathIn } from './openai-family.ts'

/**
 * SGLang, `sglang serve`. Source: SGLang documentation, "OpenAI APIs" and "SGLang Native APIs".
 *
 * - `developer` is not declared: the role reaches the model's chat template, and most templates reject it.
 * - Its `/tokenize` accepts text but no messages, so a chat is counted by `/v1/messages/count_tokens`.
 * - Its `/v1/messages` and its Ollama paths are not used: it translates them to chat completions, which drops more fields
 *   than the router's own translation.
 * - `/health` generates one token when the server is idle, so it also detects a hung scheduler.
 */
export const sglang: ProviderType = {
  name: 'sglang',
  dialect: 'openai',
  flavour: {
    maxTokensField: 'max_tokens',
    repetitionPenalty: 'repetition_penalty',
    samplingExtensions: ['top_k', 'min_p'],
    jsonObject: true,
    namedToolChoice: true,
    customTools: false,
    reasoningHistory: ['reasoning_content'],
    reasoningEfforts: ['none', 'low', 'medium', 'high'],
  },
  path: pathIn({
    chat: openaiPaths.chat,
    completion: openaiPaths.completion,
    responses: openaiPaths.responses,
    embedding: openaiPaths.embedding,
    transcription: openaiPaths.transcription,
    rerank: '/v1/rerank',
    score: '/v1/score',
    classify: '/v1/classify',
    tokenize: '/tokenize',
    detokenize: '/detokenize',
    count: '/v1/messages/count_tokens',
  }),
  countDialect: 'anthropic',
  authHeaders: bearerHeaders,
  needsHost: true,
  listings: [openaiListing],
  loadsModels: true,
  engine: 'sglang',
  healthPath: '/health',
}
