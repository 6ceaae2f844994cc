import type { Static } from '@sinclair/typebox'
import { isObject, numberOf, textOf } from '../../../lib/json/read.ts'
import type {
  ContentForms,
  ContentShape,
  DialectContents,
  MembersOf,
  StreamContents,
} from '../../../sdk/content.ts'
import type { AnthropicMessagesBody } from '../request/schema.ts'
import { citedDocuments, citedInBlock, citedInBlocks, citedRange } from './citations.ts'
import { createEnding, filteredAnswer } from './ending.ts'

const blockMembers = { type: 'keep', cache_control: 'keep' } as const

/** The quote and title of a citation are content, its offsets and indexes are not. */
const citation = {
  members: {
    type: 'keep',
    encrypted_index: 'opaque',
    file_id: 'keep',
    document_index: 'keep',
    start_char_index: 'keep',
    end_char_index: 'keep',
    start_page_number: 'keep',
    end_page_number: 'keep',
    start_block_index: 'keep',
    end_block_index: 'keep',
    search_result_index: 'keep',
  },
  rest: 'value',
} as const satisfies ContentForms

/** Blocks without nested blocks. Unknown types have no shape and are rejected. */
const plainBlocks = {
  text: { members: { ...blockMembers, text: 'text', citations: { items: citation } } },
  image: { members: { ...blockMembers, source: 'media' } },
  tool_reference: { members: { ...blockMembers, tool_name: 'keep' } },
  thinking: {
    members: { ...blockMembers, thinking: 'text', signature: 'opaque' },
    signed: { values: ['thinking'], proof: 'signature' },
    joined: false,
  },
  redacted_thinking: { members: { ...blockMembers, data: 'opaque' } },
  container_upload: { members: { ...blockMembers, file_id: 'media' } },
  tool_use: { members: { ...blockMembers, id: 'keep', name: 'keep', input: 'value', caller: 'keep' } },
  server_tool_use: { members: { ...blockMembers, id: 'keep', name: 'keep', input: 'value', caller: 'keep' } },
} as const satisfies Record<string, ContentShape>

const plainContent = {
  text: 'text',
  items: { by: { member: 'type', cases: plainBlocks } },
  joined: true,
} as const satisfies ContentForms

const document = {
  members: {
    ...blockMembers,
    source: {
      by: {
        member: 'type',
        cases: {
          text: { members: { type: 'keep', media_type: 'keep', data: 'text' } },
          content: { members: { type: 'keep', content: plainContent } },
        },
        otherwise: 'media',
      },
    },
    title: 'text',
    context: 'text',
    citations: 'keep',
  },
  joined: false,
} as const satisfies ContentForms

const searchResult = {
  members: { ...blockMembers, source: 'text', title: 'text', content: plainContent, citations: 'keep' },
  joined: false,
} as const satisfies ContentForms

/** Tool results are often JSON. */
const resultBlocks = {
  ...plainBlocks,
  text: { members: { ...blockMembers, text: 'json', citations: 'value' } },
  document,
  search_result: searchResult,
} as const satisfies Record<string, ContentShape>

const blocks = {
  ...plainBlocks,
  document,
  search_result: searchResult,
  tool_result: {
    members: {
      ...blockMembers,
      tool_use_id: 'keep',
      is_error: 'keep',
      content: {
        text: 'json',
        numbers: 'rejected',
        items: { numbers: 'rejected', by: { member: 'type', cases: resultBlocks } },
        joined: true,
      },
    },
  },
  web_search_tool_result: {
    members: {
      ...blockMembers,
      tool_use_id: 'keep',
      caller: 'keep',
      content: {
        members: { type: 'keep', error_code: 'keep' },
        items: {
          members: {
            type: 'keep',
            url: 'text',
            title: 'text',
            encrypted_content: 'opaque',
            page_age: 'keep',
          },
        },
      },
    },
  },
} as const satisfies Record<string, ContentShape>

const content = {
  text: 'text',
  items: { by: { member: 'type', cases: blocks } },
  joined: true,
} as const satisfies ContentForms

const messages = {
  items: {
    by: {
      member: 'role',
      cases: { system: { members: { role: 'keep', content }, system: true } },
      otherwise: { members: { role: 'keep', content } },
    },
  },
} as const satisfies ContentForms

const chat = {
  model: 'replaced',
  model_name: 'replaced',
  messages,
  system: { ...content, system: true },
  stop_sequences: { items: 'text' },
  temperature: 'keep',
  top_p: 'keep',
  top_k: 'keep',
  max_tokens: 'keep',
  tools: 'schema',
  tool_choice: 'schema',
  thinking: 'keep',
  output_config: 'schema',
  output_format: 'schema',
  metadata: { members: { user_id: 'text' }, rest: 'text' },
  stream: 'keep',
} as const satisfies MembersOf<Static<typeof AnthropicMessagesBody>>

const otherMembers = {
  service_tier: 'keep',
  context_management: 'keep',
  betas: 'keep',
  speed: 'keep',
  inference_geo: 'keep',
  cache_control: 'keep',
  anthropic_version: 'keep',
  container: 'rejected',
  mcp_servers: 'rejected',
} as const satisfies Record<string, ContentShape>

/** The member of a delta that contains its text. Source: Anthropic API reference, "Streaming messages". */
const textMembers: Readonly<Record<string, { member: string; isJson?: boolean }>> = {
  text_delta: { member: 'text' },
  thinking_delta: { member: 'thinking' },
  input_json_delta: { member: 'partial_json', isJson: true },
}

const unknownShape = { members: { type: 'keep' }, rest: 'value' } as const satisfies ContentForms
const anyBlock = {
  by: { member: 'type', cases: blocks, otherwise: unknownShape },
} as const satisfies ContentForms

const stream: StreamContents = {
  read(event) {
    const block = `${numberOf(event.index) ?? 0}.`
    switch (event.type) {
      case 'content_block_start': {
        const { content_block: started } = event
        const isCall = isObject(started) && /tool_use$/.test(textOf(started.type) ?? '')
        return {
          texts: [],
          begins: isCall ? [`${block}partial_json`] : [],
          whole: [{ path: ['content_block'], shape: anyBlock }],
          citations: citedInBlock(started, ['content_block']),
        }
      }
      case 'message_start':
        return { texts: [], whole: [{ path: ['message', 'content'], shape: { items: anyBlock } }] }
      case 'content_block_delta': {
        const delta = isObject(event.delta) ? event.delta : {}
        const kind = textOf(delta.type) ?? ''
        if (kind === 'signature_delta') {
          const channel = `${block}thinking`
          return {
            texts: [],
            ends: [channel],
            signatures: [{ path: ['delta', 'signature'], of: { channel } }],
          }
        }
        const piece = Object.hasOwn(textMembers, kind) ? textMembers[kind] : undefined
        if (!piece || typeof delta[piece.member] !== 'string')
          return {
            texts: [],
            whole: [{ path: ['delta'], shape: unknownShape }],
            citations: citedRange(delta.citation, ['delta', 'citation']),
          }
        const { member, isJson = false } = piece
        return { texts: [{ channel: block + member, path: ['delta', member], isJson }] }
      }
      case 'content_block_stop':
        return { texts: [], ends: [block] }
      case 'message_delta':
      case 'message_stop':
        return { texts: [], ends: [''] }
      default:
        return { texts: [] }
    }
  },
  continueText({ type, index, delta }, { path }, text) {
    const kind = isObject(delta) ? delta.type : undefined
    return { type, index, delta: { type: kind, [String(path[1])]: text } }
  },
  hasEventNames: true,
  createEnding,
}

export const anthropicContents: DialectContents = {
  requests: { chat: { members: { ...otherMembers, ...chat } } },
  stream,
  answers: {
    shape: { members: { content: { items: anyBlock } }, rest: 'opaque' },
    filtered: filteredAnswer,
    citations: ({ content: written }) => citedInBlocks(written, ['content']),
  },
  userTurn: { turns: 'messages', content: 'content', part: (text) => ({ type: 'text', text }) },
  documents: citedDocuments,
}
