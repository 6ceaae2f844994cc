import { type JsonObject, present } from '../../lib/json/read.ts'
import type { ChatRequest, ReasoningEffort, ResponseFormat } from '../../sdk/chat.ts'
import type { WriteRequestOptions } from '../../sdk/dialect.ts'
import { writeSampling } from '../shared/sampling.ts'
import { writeItems } from './messages-write.ts'
import { sampling } from './sampling.ts'

/**
 * The body of `POST /v1/responses` for a client of another dialect. Nothing is kept at the upstream (`store`), as no
 * other dialect has a way back to it.
 */
export function writeRequest(request: ChatRequest, options: WriteRequestOptions): JsonObject {
  const { drop } = options
  for (const name of Object.keys(request.extras)) drop(name, 'the Responses API has no such field')
  if (request.ollama?.keepAlive !== undefined) drop('keep_alive', 'the upstream decides itself')
  for (const name of Object.keys(request.ollama?.options ?? {})) {
    drop(`options.${name}`, 'the upstream sets this when it starts, not per request')
  }
  const format = writeFormat(request.responseFormat)
  const effort = writeEffort(request.reasoningEffort, options)
  return {
    model: options.model,
    input: writeItems(request.messages, options),
    stream: request.stream,
    store: false,
    ...writeSampling(sampling, request.sampling, options),
    ...writeTools(request, options),
    ...(format ? { text: { format } } : {}),
    ...(effort === undefined ? {} : { reasoning: { effort } }),
    ...present({ user: request.user }),
  }
}

function writeTools(request: ChatRequest, { flavour }: WriteRequestOptions): JsonObject {
  const { tools, toolChoice, parallelToolCalls } = request
  if (tools.length === 0) return {}
  const named = typeof toolChoice === 'object' ? toolChoice.name : undefined
  const only = named !== undefined && flavour.namedToolChoice === false
  const offered = only ? tools.filter(({ name }) => name === named) : tools
  const choice = named === undefined ? toolChoice : only ? 'required' : { type: 'function', name: named }
  return {
    tools: offered.map(({ name, description, parameters, strict }) => ({
      type: 'function',
      name,
      ...present({ description }),
      parameters: parameters ?? { type: 'object', properties: {} },
      // Left out it would mean true here, and false in every other dialect.
      strict: strict ?? false,
    })),
    ...present({ tool_choice: choice, parallel_tool_calls: parallelToolCalls }),
  }
}

function writeFormat(format: ResponseFormat | undefined): JsonObject | undefined {
  switch (format?.type) {
    case undefined:
      return undefined
    case 'text':
      return { type: 'text' }
    case 'json':
      return { type: 'json_object' }
    case 'schema': {
      const { name = 'response', description, schema, strict } = format
      return { type: 'json_schema', name, schema, ...present({ description, strict }) }
    }
  }
}

const scale: readonly string[] = ['none', 'minimal', 'low', 'medium', 'high', 'xhigh', 'max']

/** The level asked for, else the nearest that the server knows; of two as near, the higher. */
function writeEffort(
  effort: ReasoningEffort | undefined,
  { flavour, drop }: WriteRequestOptions,
): string | undefined {
  if (effort === undefined) return undefined
  const wanted = effort === 'on' ? 'medium' : effort
  const known = flavour.reasoningEfforts
  if (!known || known.includes(wanted)) return wanted
  const away = (level: string): number => Math.abs(scale.indexOf(level) - scale.indexOf(wanted))
  const [nearest] = known
    .filter((level) => level !== 'none' && scale.includes(level))
    .toSorted((one, other) => away(one) - away(other) || scale.indexOf(other) - scale.indexOf(one))
  if (nearest === undefined || wanted === 'none') {
    drop('reasoning.effort', 'the upstream does not know this level')
  }
  return nearest
}
