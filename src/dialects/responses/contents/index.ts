import type { Static } from '@sinclair/typebox'
import { isObject, type JsonObject, objectsIn, textOf } from '../../../lib/json/read.ts'
import type {
  CitedRange,
  ContentForms,
  ContentShape,
  DialectContents,
  MembersOf,
  StreamContents,
  StreamedContents,
} from '../../../sdk/content.ts'
import { annotatedRange, annotatedRanges } from '../../shared/annotations.ts'
import type { ResponsesBody } from '../request/schema.ts'
import { createEnding, filteredAnswer } from './ending.ts'

const part = {
  text: 'text',
  by: {
    member: 'type',
    cases: {
      input_image: { members: { type: 'keep', image_url: 'media', file_id: 'media', detail: 'keep' } },
      // The form of chat completions.
      image_url: {
        members: {
          type: 'keep',
          image_url: { text: 'media', members: {}, rest: 'media' },
          detail: 'keep',
        },
      },
      input_audio: { members: { type: 'keep', input_audio: 'media' } },
      input_file: {
        members: {
          type: 'keep',
          file_data: 'media',
          file_id: 'media',
          file_url: 'media',
          filename: 'text',
          detail: 'keep',
        },
        joined: false,
      },
      refusal: { members: { type: 'keep', refusal: 'text' } },
      encrypted_content: { members: { type: 'keep', encrypted_content: 'opaque' } },
    },
    otherwise: {
      members: {
        type: 'keep',
        text: 'text',
        annotations: 'value',
        logprobs: 'value',
        prompt_cache_breakpoint: 'keep',
      },
    },
  },
} as const satisfies ContentForms

const content = { text: 'text', items: part, joined: true } as const satisfies ContentForms
/** Tool results are often JSON. */
const output = {
  text: 'json',
  items: {
    text: 'json',
    by: { ...part.by, otherwise: { members: { ...part.by.otherwise.members, text: 'json' } } },
  },
  joined: true,
} as const satisfies ContentForms

const item = { type: 'keep', id: 'keep', status: 'keep', phase: 'keep', created_by: 'keep' } as const
const call = { ...item, call_id: 'keep', name: 'keep', namespace: 'keep', caller: 'keep' } as const
const message = { ...item, role: 'keep', content, name: 'text' } as const

/** Items by type. Unknown types have no shape and are rejected. Source: OpenAI API reference, "Create a model response". */
const items = {
  message: {
    by: {
      member: 'role',
      cases: {
        system: { members: message, system: true },
        developer: { members: message, system: true },
      },
      otherwise: { members: message },
    },
  },
  function_call: { members: { ...call, arguments: 'json' } },
  function_call_output: { members: { ...call, output } },
  custom_tool_call: { members: { ...call, input: 'text' } },
  custom_tool_call_output: { members: { ...call, output } },
  local_shell_call: { members: { ...call, action: 'value' } },
  local_shell_call_output: { members: { ...call, output } },
  shell_call: { members: { ...call, action: 'value', environment: 'keep' } },
  shell_call_output: { members: { ...call, output: 'value', max_output_length: 'keep' } },
  apply_patch_call: { members: { ...call, operation: 'value' } },
  apply_patch_call_output: { members: { ...call, output: 'text' } },
  computer_call: { members: { ...call, action: 'value', actions: 'value', pending_safety_checks: 'keep' } },
  computer_call_output: { members: { ...call, output: 'media', acknowledged_safety_checks: 'keep' } },
  web_search_call: { members: { ...call, action: 'value' } },
  file_search_call: { members: { ...call, queries: 'value', results: 'value' } },
  code_interpreter_call: { members: { ...call, code: 'text', container_id: 'keep', outputs: 'value' } },
  image_generation_call: { members: { ...call, result: 'media' } },
  mcp_call: { members: { ...call, server_label: 'keep', arguments: 'json', output: 'text', error: 'value' } },
  mcp_list_tools: { members: { ...call, server_label: 'keep', tools: 'schema', error: 'value' } },
  additional_tools: { members: { ...item, role: 'keep', tools: 'schema' } },
  item_reference: { members: item },
  compaction: { members: { ...item, encrypted_content: 'opaque' } },
  reasoning: {
    members: {
      ...item,
      summary: { items: { members: { type: 'keep', text: 'text' } } },
      content: { items: { members: { type: 'keep', text: 'text' } } },
      encrypted_content: 'opaque',
    },
  },
} as const satisfies Record<string, ContentShape>

const body = {
  model: 'replaced',
  model_name: 'replaced',
  input: { text: 'text', items: { by: { member: 'type', cases: items, otherwise: items.message } } },
  instructions: { text: 'text', system: true },
  stream: 'keep',
  stream_options: 'keep',
  max_output_tokens: 'keep',
  temperature: 'keep',
  top_p: 'keep',
  top_logprobs: 'keep',
  tools: 'schema',
  tool_choice: 'schema',
  parallel_tool_calls: 'keep',
  text: 'schema',
  reasoning: 'keep',
  include: 'keep',
  store: 'keep',
  previous_response_id: 'keep',
  // The router cannot protect data that is stored at an upstream.
  conversation: 'rejected',
  background: 'rejected',
  prompt: 'rejected',
  truncation: 'keep',
  metadata: 'value',
  user: 'text',
  prompt_cache_key: 'text',
} as const satisfies MembersOf<Static<typeof ResponsesBody>>

const otherMembers = {
  safety_identifier: 'text',
  service_tier: 'keep',
  prompt_cache_retention: 'keep',
  max_tool_calls: 'keep',
  context_management: 'keep',
  client_metadata: 'value',
  moderation: 'keep',
} as const satisfies Record<string, ContentShape>

const jsonDeltas: ReadonlySet<string> = new Set([
  'response.function_call_arguments',
  'response.mcp_call_arguments',
])

/** The deltas of a call's arguments, by the type of its item. */
const callDeltas: Readonly<Record<string, string>> = {
  function_call: 'response.function_call_arguments',
  mcp_call: 'response.mcp_call_arguments',
  custom_tool_call: 'response.custom_tool_call_input',
  code_interpreter_call: 'response.code_interpreter_call_code',
}
const callEvents: ReadonlySet<string> = new Set(Object.values(callDeltas))

const anyItem = {
  by: { member: 'type', cases: items, otherwise: { members: item, rest: 'value' } },
} as const satisfies ContentForms
const answerShape = {
  members: { output: { items: anyItem }, output_text: 'text' },
  rest: 'opaque',
} as const satisfies ContentForms

/** Members of events with whole values, which may repeat deltas. */
const wholeMembers = {
  text: 'text',
  refusal: 'text',
  arguments: 'json',
  input: 'text',
  code: 'text',
  item: anyItem,
  part,
  response: answerShape,
  annotation: 'value',
} as const satisfies Record<string, ContentShape>

/** Events that end all channels. */
const endings: ReadonlySet<unknown> = new Set([
  'response.completed',
  'response.incomplete',
  'response.failed',
  'response.output_item.done',
])

/** Source: OpenAI API reference, "Streaming events" of responses. */
const stream: StreamContents = {
  sequenceMember: 'sequence_number',
  hasEventNames: true,
  createEnding,
  read(event) {
    const citations = [...citedInText(event), ...citedInEvent(event)]
    return { ...textsOf(event), begins: channelsBegunBy(event), whole: wholeValuesIn(event), citations }
  },
  continueText({ obfuscation: _padding, ...template }, _at, text) {
    return { ...template, delta: text, ...(Array.isArray(template.logprobs) ? { logprobs: [] } : {}) }
  },
}

/** The channels of calls that an event begins. */
function channelsBegunBy(event: Readonly<JsonObject>): string[] {
  if (event.type !== 'response.output_item.added' || !isObject(event.item)) return []
  const type = textOf(event.item.type) ?? ''
  const base = Object.hasOwn(callDeltas, type) ? callDeltas[type] : undefined
  return base === undefined ? [] : [channelOf(event, base)]
}

function wholeValuesIn(event: Readonly<JsonObject>): NonNullable<StreamedContents['whole']> {
  return Object.entries(wholeMembers).flatMap(([name, shape]) =>
    event[name] === undefined ? [] : [{ path: [name], shape }],
  )
}

function textsOf(event: Readonly<JsonObject>): StreamedContents {
  const type = textOf(event.type) ?? ''
  const base = type.replace(/\.(?:delta|done)$/, '')
  const channel = channelOf(event, base)
  if (type.endsWith('.delta') && typeof event.delta === 'string')
    return {
      texts: [{ channel, path: ['delta'], isJson: jsonDeltas.has(base), isCall: callEvents.has(base) }],
    }
  if (type === 'response.output_item.done') return { texts: [], ends: [itemOf(event)] }
  if (endings.has(type)) return { texts: [], ends: [''] }
  return { texts: [], ends: type.endsWith('.done') ? [channel] : [] }
}

/** An annotation that is added while its text is streamed. */
function citedInText(event: Readonly<JsonObject>): CitedRange[] {
  const text = { channel: channelOf(event, 'response.output_text') }
  return annotatedRange(event.annotation, ['annotation'], text)
}

/** Annotations of the text that an event repeats. */
function citedInEvent({ part, item, response }: Readonly<JsonObject>): CitedRange[] {
  return [
    ...citedInPart(part, ['part']),
    ...citedInItem(item, ['item']),
    ...(isObject(response) ? citedInAnswer(response, ['response']) : []),
  ]
}

function citedInAnswer(
  { output }: Readonly<JsonObject>,
  path: readonly (string | number)[] = [],
): CitedRange[] {
  return objectsIn(output).flatMap((item, position) => citedInItem(item, [...path, 'output', position]))
}

function citedInItem(item: unknown, path: readonly (string | number)[]): CitedRange[] {
  if (!isObject(item)) return []
  return objectsIn(item.content).flatMap((part, position) =>
    citedInPart(part, [...path, 'content', position]),
  )
}

function citedInPart(part: unknown, path: readonly (string | number)[]): CitedRange[] {
  if (!isObject(part)) return []
  return annotatedRanges(part.annotations, [...path, 'annotations'], { path: [...path, 'text'] })
}

function itemOf({ output_index: index, item_id: id, item }: Readonly<JsonObject>): string {
  const itemId = isObject(item) ? item.id : undefined
  return `${String(index ?? id ?? itemId)}.`
}

function channelOf(event: Readonly<JsonObject>, base: string): string {
  const { content_index: content, summary_index: summary } = event
  return `${itemOf(event)}${base}.${String(content ?? summary ?? '')}.`
}

export const responsesContents: DialectContents = {
  requests: {
    chat: { members: { ...otherMembers, ...body } },
    responses_count: { members: { ...otherMembers, ...body } },
  },
  stream,
  answers: {
    shape: answerShape,
    filtered: (answer) => filteredAnswer({ ...answer, output: [] }),
    citations: (answer) => citedInAnswer(answer),
  },
  userTurn: { turns: 'input', content: 'content', part: (text) => ({ type: 'input_text', text }) },
}
