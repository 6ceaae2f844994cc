import { objectsIn } from '../../lib/json/read.ts'
import type { ChatEvent, ChatRequest, ToolCall } from '../../sdk/chat.ts'
import type {
  AnswerContents,
  ContentForms,
  ContentShape,
  MembersOf,
  StreamContents,
} from '../../sdk/content.ts'

const textPart = { members: { type: 'keep', text: 'text', cacheControl: 'keep' } } as const
const part = {
  by: {
    member: 'type',
    cases: {
      text: textPart,
      refusal: textPart,
      image: { members: { type: 'keep', source: 'media', detail: 'keep', cacheControl: 'keep' } },
      audio: { members: { type: 'keep', data: 'media', format: 'keep', cacheControl: 'keep' } },
      file: {
        members: {
          type: 'keep',
          data: 'media',
          url: 'media',
          fileId: 'media',
          name: 'text',
          cacheControl: 'keep',
        },
        joined: false,
      },
    },
  },
} as const satisfies ContentForms

const parts = { items: part, joined: true } as const satisfies ContentForms
/** Tool results are often JSON. */
const resultParts = {
  items: {
    by: {
      ...part.by,
      cases: { ...part.by.cases, text: { members: { ...textPart.members, text: 'json' } } },
    },
  },
  joined: true,
} as const satisfies ContentForms

const members = {
  role: 'keep',
  developer: 'keep',
  parts,
  name: 'text',
  reasoning: 'text',
  reasoningSignature: 'opaque',
  toolCalls: {
    items: {
      members: {
        id: 'keep',
        name: 'keep',
        arguments: 'json',
        signature: 'opaque',
        cacheControl: 'keep',
        partsBefore: 'keep',
        textBefore: 'keep',
      } satisfies MembersOf<ToolCall>,
    },
  },
} as const satisfies Record<string, ContentShape>

/** For a request in canonical form, in which every member has a shape. */
export const chatShape = {
  members: {
    model: 'replaced',
    stream: 'keep',
    includeUsage: 'keep',
    messages: {
      items: {
        by: {
          member: 'role',
          cases: {
            system: { members, system: true },
            // The name is that of the called function.
            tool: {
              members: { ...members, parts: resultParts, name: 'keep', callId: 'keep', isError: 'keep' },
            },
          },
          otherwise: { members },
        },
      },
    },
    continuesAnswer: 'keep',
    tools: 'schema',
    toolChoice: 'keep',
    parallelToolCalls: 'keep',
    sampling: { members: { stop: { text: 'text', items: 'text' } }, rest: 'keep' },
    responseFormat: 'schema',
    reasoningEffort: 'keep',
    reasoningBudget: 'keep',
    ollama: 'keep',
    completion: { members: { raw: 'keep', suffix: 'text' } },
    user: 'text',
    promptCacheKey: 'text',
    verbosity: 'keep',
    dropped: 'replaced',
    notices: 'replaced',
    // Members unknown to the codec, which the server may support.
    extras: 'value',
  } satisfies MembersOf<ChatRequest>,
} as const satisfies ContentForms

/** The events of a chat as lines of JSON, which extensions read. */
export const chatEventStream: StreamContents = {
  read(line) {
    const event = line as ChatEvent // written by the router
    switch (event.type) {
      case 'text-delta':
      case 'refusal-delta':
      case 'reasoning-delta':
        return {
          texts: [{ channel: `${event.choice}.${event.type}`, group: String(event.choice), path: ['text'] }],
        }
      case 'tool-call-delta':
        return {
          texts: [{ channel: `${event.choice}.call.${event.call}.`, path: ['arguments'], isJson: true }],
        }
      case 'tool-call-start':
        return { texts: [], begins: [`${event.choice}.call.${event.call}.`] }
      case 'block-end':
        return { texts: [], ends: [`${event.choice}.call.${event.call}.`] }
      case 'finish':
        return { texts: [], ends: [`${event.choice}.`] }
      case 'end':
      case 'error':
        return { texts: [], ends: [''] }
      case 'citation':
        return { texts: [], whole: [{ path: ['citation'], shape: 'value' }] }
      case 'file':
      case 'start':
      case 'usage':
        return { texts: [] }
    }
  },
  continueText: ({ logprobs: _logprobs, signature: _signature, ...like }, { path }, text) => ({
    ...like,
    [String(path[0])]: text,
  }),
  createEnding: () => ({
    observe() {},
    endFiltered: () => [
      { type: 'finish', choice: 0, reason: 'content_filter' } satisfies ChatEvent,
      { type: 'end' } satisfies ChatEvent,
    ],
  }),
}

/** The choices of a parsed response. */
export const chatChoices: AnswerContents = {
  shape: {
    members: {
      choices: {
        items: {
          members: {
            text: 'text',
            reasoning: 'text',
            refusal: 'text',
            toolCalls: { items: { members: { arguments: 'json' }, rest: 'opaque' } },
          },
          rest: 'opaque',
        },
      },
    },
  },
  filtered: ({ choices }) => ({
    choices: objectsIn(choices).map(({ index }) => ({
      index,
      text: '',
      reasoning: '',
      toolCalls: [],
      finishReason: 'content_filter',
    })),
  }),
}
