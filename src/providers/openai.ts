import { openaiListing } from '../sdk/engine-listings.ts'
import type { ProviderType } from '../sdk/provider.ts'
import { bearerHeaders, openaiPaths, pathIn } from './openai-family.ts'

/**
 * OpenAI, and in many configurations any server that speaks its chat completions (Gemini, Mistral, llama.cpp).
 * Format: the OpenAI API reference, "Create chat completion".
 *
 * The flavour tells only what a translated request needs: an OpenAI client's own bytes go through as they are.
 * - `max_completion_tokens`: OpenAI's reasoning models refuse `max_tokens` outright. Servers that know only the
 *   older name are better served by the type `vllm`, which sends it.
 * - `developerRole`: kept, as an untranslated request would carry it too.
 * - No sampling extensions and no multiplicative penalty: OpenAI answers 400 to a member that it does not know,
 *   so they are reported as lost. llama.cpp reads them from the type `vllm`.
 * - No list of reasoning levels: it differs from model to model, so a level goes out as the client named it.
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
  },
  path: pathIn(openaiPaths),
  maxBatch: 2048, // API reference, "Create embeddings"
  authHeaders: bearerHeaders,
  needsHost: true,
  listings: [openaiListing],
}
