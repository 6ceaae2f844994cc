import type { Static } from '@sinclair/typebox'
import { isObject, objectsIn } from '../../../lib/json/read.ts'
import type {
  AnswerContents,
  ContentForms,
  ContentShape,
  ContentTable,
  DialectContents,
  MembersOf,
} from '../../../sdk/content.ts'
import { annotatedRanges } from '../../shared/annotations.ts'
import type { OpenaiEmbeddingBody } from '../embedding.ts'
import type { OpenaiChatBody, OpenaiCompletionBody } from '../request/schema.ts'
import { filteredAnswer } from './ending.ts'
import { content, messageMembers, messages, part } from './messages.ts'
import { engineMembers, sampling, stop, vendorMembers } from './other-members.ts'
import { completionStream } from './stream.ts'

const chat = {
  model: 'replaced',
  model_name: 'replaced',
  messages,
  ...sampling,
  tools: 'schema',
  tool_choice: 'schema',
  parallel_tool_calls: 'keep',
  functions: 'schema',
  function_call: 'schema',
  response_format: 'schema',
  reasoning_effort: 'keep',
  prompt_cache_key: 'text',
  verbosity: 'keep',
  user: 'text',
  options: { members: { stop }, rest: 'keep' },
  keep_alive: 'keep',
  think: 'keep',
  format: 'schema',
} as const satisfies MembersOf<Static<typeof OpenaiChatBody>>

/** A string, a list of strings, or token ids, which cannot be inspected. */
const texts = {
  text: 'text',
  items: { text: 'text', items: { numbers: 'rejected' }, numbers: 'rejected' },
} as const satisfies ContentForms

const completion = {
  model: 'replaced',
  model_name: 'replaced',
  ...sampling,
  prompt: texts,
  suffix: 'text',
  echo: 'keep',
  best_of: 'keep',
  user: 'text',
} as const satisfies MembersOf<Static<typeof OpenaiCompletionBody>>

const embedding = {
  model: 'replaced',
  model_name: 'replaced',
  input: {
    text: 'text',
    items: {
      text: 'text',
      items: { numbers: 'rejected' },
      numbers: 'rejected',
      members: { text: 'text', image: 'media', content },
    },
  },
  encoding_format: 'keep',
  dimensions: 'keep',
  truncate: 'keep',
  user: 'text',
} as const satisfies MembersOf<Static<typeof OpenaiEmbeddingBody>>

/** A document for a reranker, classifier or embedding model: a string, or an object with text. */
const document = {
  text: 'text',
  members: { text: 'text', content, image: 'media', image_url: 'media', id: 'keep' },
  items: { text: 'text' },
} as const satisfies ContentForms
const documents = { ...document, items: document } as const satisfies ContentForms

const commonMembers = { model: 'replaced', model_name: 'replaced', user: 'text' } as const satisfies Record<
  string,
  ContentShape
>
const options = {
  top_n: 'keep',
  top_k: 'keep',
  return_documents: 'keep',
  return_text: 'keep',
  raw_scores: 'keep',
  max_chunks_per_doc: 'keep',
  max_tokens_per_doc: 'keep',
  rank_fields: 'keep',
  activation: 'keep',
  truncate: 'keep',
  encoding_format: 'keep',
  dimensions: 'keep',
  normalize: 'keep',
  task: 'keep',
  instruction: 'text',
  priority: 'keep',
  truncate_prompt_tokens: 'keep',
  add_special_tokens: 'keep',
  softmax: 'keep',
  use_activation: 'keep',
  embed_dtype: 'keep',
  endianness: 'keep',
  truncation_side: 'keep',
  chat_template_kwargs: 'keep',
  chat_template: 'keep',
  mm_processor_kwargs: 'keep',
} as const satisfies Record<string, ContentShape>

/** Shapes of request bodies, by operation. An operation without an entry is rejected. */
const openaiRequests = {
  chat: { members: { ...engineMembers, ...vendorMembers, ...chat } },
  completion: { members: { ...engineMembers, ...vendorMembers, ...completion } },
  embedding: { members: { ...options, ...embedding, messages, data: 'media' } },
  rerank: { members: { ...commonMembers, ...options, query: document, documents, texts: documents } },
  score: {
    members: {
      ...commonMembers,
      ...options,
      text_1: documents,
      text_2: documents,
      queries: documents,
      documents,
      items: documents,
      data_1: documents,
      data_2: documents,
      query: documents,
      label_token_ids: 'keep',
    },
  },
  tokenize: {
    members: {
      ...commonMembers,
      prompt: texts,
      content: 'text',
      messages,
      tools: 'schema',
      return_token_strs: 'keep',
      add_special_tokens: 'keep',
      add_special: 'keep',
      with_pieces: 'keep',
      parse_special: 'keep',
      add_generation_prompt: 'keep',
      continue_final_message: 'keep',
      chat_template: 'keep',
      chat_template_kwargs: 'keep',
      mm_processor_kwargs: 'keep',
    },
  },
  speech: {
    members: {
      ...commonMembers,
      input: 'text',
      instructions: 'text',
      voice: { text: 'keep', members: { id: 'keep' } },
      response_format: 'keep',
      speed: 'keep',
      stream_format: 'keep',
      language: 'keep',
      task_type: 'keep',
      stream: 'keep',
      seed: 'keep',
      ref_audio: 'media',
      ref_text: 'text',
    },
  },
  image: {
    members: {
      ...commonMembers,
      prompt: 'text',
      negative_prompt: 'text',
      n: 'keep',
      size: 'keep',
      quality: 'keep',
      style: 'keep',
      response_format: 'keep',
      output_format: 'keep',
      output_compression: 'keep',
      background: 'keep',
      moderation: 'keep',
      partial_images: 'keep',
      stream: 'keep',
      seed: 'keep',
      steps: 'keep',
      num_inference_steps: 'keep',
      guidance_scale: 'keep',
      cfg_scale: 'keep',
      width: 'keep',
      height: 'keep',
    },
  },
  image_edit: {
    members: {
      ...commonMembers,
      prompt: 'text',
      negative_prompt: 'text',
      image: 'media',
      images: 'media',
      mask: 'media',
      n: 'keep',
      size: 'keep',
      quality: 'keep',
      response_format: 'keep',
      output_format: 'keep',
      output_compression: 'keep',
      background: 'keep',
      input_fidelity: 'keep',
      stream: 'keep',
    },
  },
  moderation: { members: { ...commonMembers, input: { text: 'text', items: part } } },
  infill: {
    members: {
      ...commonMembers,
      input_prefix: 'text',
      input_suffix: 'text',
      prompt: texts,
      input_extra: { items: { members: { text: 'text', filename: 'text' } } },
      ...sampling,
      n_predict: 'keep',
      n_indent: 'keep',
      t_max_predict_ms: 'keep',
      samplers: 'keep',
      cache_prompt: 'keep',
      id_slot: 'keep',
      n_keep: 'keep',
      n_probs: 'keep',
      response_fields: 'keep',
    },
  },
  pooling: { members: { ...commonMembers, ...options, input: documents, messages, data: 'rejected' } },
  classify: { members: { ...commonMembers, ...options, input: documents, messages } },
  cohere_embedding: {
    members: {
      ...commonMembers,
      texts: documents,
      input_type: 'keep',
      embedding_types: 'keep',
      output_dimension: 'keep',
      max_tokens: 'keep',
      truncate: 'keep',
      images: 'media',
      priority: 'keep',
      inputs: { items: { members: { content } } },
    },
  },
} as const satisfies ContentTable

/** Source: OpenAI API reference, "The chat completion object" and "The completion object". */
const answers: AnswerContents = {
  shape: {
    members: {
      choices: {
        items: {
          members: { message: { members: messageMembers, rest: 'value' }, text: 'text' },
          rest: 'opaque',
        },
      },
    },
    rest: 'opaque',
  },
  filtered: filteredAnswer,
  citations: ({ choices }) =>
    objectsIn(choices).flatMap(({ message }, position) => {
      const path = ['choices', position, 'message']
      return isObject(message)
        ? annotatedRanges(message.annotations, [...path, 'annotations'], { path: [...path, 'content'] })
        : []
    }),
}

export const openaiContents: DialectContents = {
  requests: openaiRequests,
  stream: completionStream,
  answers,
  userTurn: { turns: 'messages', content: 'content', part: (text) => ({ type: 'text', text }) },
}

/** Legacy completions are a separate surface, with a prompt instead of messages. */
export const completionContents: DialectContents = {
  requests: { chat: openaiRequests.completion },
  stream: completionStream,
  answers,
}
