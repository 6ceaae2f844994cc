import { openaiListing } from '../sdk/engine-listings.ts'
import type { ProviderType } from '../sdk/provider.ts'
import { bearerHeaders, openaiPaths, pathIn } from './openai-family.ts'

/**
 * vLLM, `vllm serve`. Source: vLLM documentation, "OpenAI-Compatible Server", chat API and its extra parameters.
 *
 * - `developer` is not declared: the role reaches the model's chat template, and most templates reject it.
 * - Reasoning of earlier turns is sent under both names: versions before 0.12 read only `reasoning_content`.
 * - A last assistant message is continued only with `continue_final_message`, which excludes `add_generation_prompt`.
 * - All versions support `max_tokens`; only later ones support `max_completion_tokens`.
 */
export const vllm: ProviderType = {
  name: 'vllm',
  dialect: 'openai',
  flavour: {
    maxTokensField: 'max_tokens',
    repetitionPenalty: 'repetition_penalty',
    samplingExtensions: ['top_k', 'min_p'],
    jsonObject: true,
    namedToolChoice: true,
    customTools: false,
    continuesFinalMessage: true,
    reasoningHistory: ['reasoning_content', 'reasoning'],
    reasoningEfforts: ['none', 'low', 'medium', 'high'],
  },
  path: pathIn({
    chat: openaiPaths.chat,
    completion: openaiPaths.completion,
    responses: openaiPaths.responses,
    embedding: openaiPaths.embedding,
    transcription: openaiPaths.transcription,
    audio_translation: openaiPaths.audio_translation,
    responses_count: openaiPaths.responses_count,
    pooling: '/pooling',
    classify: '/classify',
    cohere_embedding: '/v2/embed',
    rerank: '/v1/rerank',
    score: '/v1/score',
    tokenize: '/tokenize',
    detokenize: '/detokenize',
  }),
  authHeaders: bearerHeaders,
  needsHost: true,
  listings: [openaiListing],
  loadsModels: true,
  autoLimit: 'queue',
  engine: 'vllm',
  healthPath: '/health',
  sleepPath: '/is_sleeping',
}
