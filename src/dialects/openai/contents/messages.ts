import type { ContentForms, ContentShape } from '../../../sdk/content.ts'

const partMembers = { type: 'keep', cache_control: 'keep', annotations: 'value' } as const

const mediaPart = (name: string): ContentShape => ({
  members: { ...partMembers, [name]: { text: 'media', members: {}, rest: 'media' }, uuid: 'keep' },
})

/** Parts of a message, by type: OpenAI's, and those of vLLM and Mistral. */
export const part = {
  text: 'text',
  by: {
    member: 'type',
    cases: {
      text: { members: { ...partMembers, text: 'text' } },
      input_text: { members: { ...partMembers, text: 'text' } },
      output_text: { members: { ...partMembers, text: 'text', logprobs: 'value' } },
      refusal: { members: { ...partMembers, refusal: 'text' } },
      thinking: {
        members: {
          ...partMembers,
          thinking: { text: 'text', items: { members: { type: 'keep', text: 'text' } }, joined: true },
          signature: 'opaque',
          closed: 'keep',
        },
        joined: false,
      },
      image_url: mediaPart('image_url'),
      input_image: mediaPart('image_url'),
      image_embeds: mediaPart('image_embeds'),
      image_pil: mediaPart('image_pil'),
      video_url: mediaPart('video_url'),
      audio_url: mediaPart('audio_url'),
      input_audio: mediaPart('input_audio'),
      file: {
        members: {
          ...partMembers,
          file: { members: { file_data: 'media', file_id: 'media', filename: 'text', format: 'keep' } },
        },
        joined: false,
      },
    },
    otherwise: { members: { ...partMembers, text: 'text' } },
  },
} as const satisfies ContentForms

export const content = { text: 'text', items: part, joined: true } as const satisfies ContentForms
const jsonPart = { members: { ...partMembers, text: 'json' } } as const satisfies ContentForms
const jsonParts = { text: jsonPart, input_text: jsonPart, output_text: jsonPart } as const
/** Tool results are often JSON. */
const toolContent = {
  text: 'json',
  items: {
    text: 'json',
    by: { ...part.by, cases: { ...part.by.cases, ...jsonParts }, otherwise: jsonPart },
  },
  joined: true,
} as const satisfies ContentForms

const functionCall = { members: { name: 'keep', arguments: 'json' } } as const satisfies ContentForms

const toolCall = {
  members: {
    id: 'keep',
    index: 'keep',
    type: 'keep',
    cache_control: 'keep',
    function: functionCall,
    custom: { members: { name: 'keep', input: 'text' } },
    // Gemini's signature of its reasoning, from its OpenAI endpoint or a proxy.
    extra_content: 'opaque',
    provider_specific_fields: 'opaque',
  },
} as const satisfies ContentForms

export const messageMembers = {
  role: 'keep',
  content,
  name: 'text',
  tool_call_id: 'keep',
  tool_name: 'keep',
  refusal: 'text',
  reasoning: 'text',
  reasoning_content: 'text',
  reasoning_details: {
    items: {
      members: {
        type: 'keep',
        format: 'keep',
        id: 'keep',
        index: 'keep',
        text: 'text',
        summary: 'text',
        data: 'opaque',
        signature: 'opaque',
      },
    },
  },
  thinking_blocks: {
    items: {
      members: { type: 'keep', thinking: 'text', signature: 'opaque', data: 'opaque', cache_control: 'keep' },
    },
  },
  function_call: functionCall,
  tool_calls: { items: toolCall },
  annotations: 'value',
  audio: { members: { id: 'media', data: 'media', transcript: 'text', expires_at: 'keep' } },
  images: { text: 'media', items: 'media' },
  cache_control: 'keep',
  provider_specific_fields: 'opaque',
  extra_content: 'opaque',
  prefix: 'keep',
  partial: 'keep',
} as const satisfies Record<string, ContentShape>

const message = { members: messageMembers } as const satisfies ContentForms
const systemMessage = { members: messageMembers, system: true } as const satisfies ContentForms
const toolMessage = { members: { ...messageMembers, content: toolContent } } as const satisfies ContentForms

export const messages = {
  items: {
    by: {
      member: 'role',
      cases: { system: systemMessage, developer: systemMessage, tool: toolMessage, function: toolMessage },
      otherwise: message,
    },
  },
} as const satisfies ContentForms
