import type { ContentForms, ContentShape } from '../../../sdk/content.ts'
import { sampling as samplingTable } from '../request/sampling.ts'
import { content } from './messages.ts'

export const stop = { text: 'text', items: 'text' } as const satisfies ContentForms

/** Members of other servers of this dialect that OpenAI does not have. */
export const engineMembers = {
  chat_template: 'keep',
  chat_template_kwargs: 'keep',
  add_generation_prompt: 'keep',
  continue_final_message: 'keep',
  add_special_tokens: 'keep',
  echo: 'keep',
  best_of: 'keep',
  guided_json: 'schema',
  guided_regex: 'keep',
  guided_choice: 'keep',
  guided_grammar: 'keep',
  guided_decoding_backend: 'keep',
  structured_outputs: 'schema',
  json_schema: 'schema',
  grammar: 'keep',
  regex: 'keep',
  ebnf: 'keep',
  bad_words: stop,
  stop_token_ids: 'keep',
  mm_processor_kwargs: 'keep',
  priority: 'keep',
  request_id: 'keep',
  kv_transfer_params: 'keep',
  vllm_xargs: 'keep',
  lora: 'keep',
  adapter_id: 'keep',
  cache_salt: 'text',
  session_id: 'text',
  trace_id: 'keep',
  truncate_prompt_tokens: 'keep',
  prompt_logprobs: 'keep',
  samplers: 'keep',
  mirostat: 'keep',
  thinking: 'keep',
  enable_thinking: 'keep',
  reasoning: 'keep',
  reasoning_format: 'keep',
  provider: 'keep',
  route: 'keep',
  transforms: 'keep',
  models: 'keep',
  plugins: 'keep',
  extra_body: 'rejected',
  documents: 'value',
  prompt_embeds: 'media',
} as const satisfies Record<string, ContentShape>

/** OpenAI's own members that the router does not read. */
export const vendorMembers = {
  metadata: 'value',
  safety_identifier: 'text',
  prompt_cache_retention: 'keep',
  service_tier: 'keep',
  store: 'rejected',
  modalities: 'keep',
  web_search_options: 'value',
  audio: { members: { format: 'keep', voice: { text: 'keep', members: { id: 'keep' } } } },
  prediction: { members: { type: 'keep', content } },
  moderation: 'keep',
} as const satisfies Record<string, ContentShape>

type SamplingName = (typeof samplingTable)[keyof typeof samplingTable]['names'][number]

const samplingNames: readonly SamplingName[] = Object.values(samplingTable).flatMap(({ names }) => names)

/** How a response is generated. */
export const sampling = {
  ...(Object.fromEntries(samplingNames.map((name) => [name, 'keep'])) as Record<SamplingName, 'keep'>), // of these names
  stop,
  stream: 'keep',
  stream_options: 'keep',
} as const satisfies Record<string, ContentShape>
