import { type JsonObject, present } from '../../../lib/json/read.ts'
import type { ChatRequest, ResponseFormat } from '../../../sdk/chat.ts'
import type { WriteRequestOptions } from '../../../sdk/write-options.ts'
import { reportCacheControl } from '../../shared/cache-control.ts'
import { reportOllamaMembers } from '../../shared/ollama-members.ts'
import { supportedPromptOptions, writeOpenaiExtras } from '../../shared/prompt-options.ts'
import { supportedEffort } from '../../shared/reasoning.ts'
import { writeSampling } from '../../shared/sampling.ts'
import { reportSignatures } from '../../shared/signatures.ts'
import { foldSystemTurns } from '../../shared/system-turns.ts'
import { withAllResults } from '../../shared/tools/tool-results.ts'
import { writeItems } from './messages-write.ts'
import { sampling } from './sampling.ts'

/**
 * The body of `POST /v1/responses` for a client of another dialect. Nothing is stored at the upstream (`store`), because no
 * other dialect can refer to it.
 */
export function writeRequest(request: ChatRequest, options: WriteRequestOptions): JsonObject {
  const { drop } = options
  reportSignatures(request, drop)
  reportCacheControl(request, drop)
  const extras = writeOpenaiExtras(options.flavour, request, {
    drop,
    why: 'the Responses API has no such field',
  })
  const { promptCacheKey, verbosity } = supportedPromptOptions(options.flavour, request, drop)
  reportOllamaMembers(request.ollama, drop)
  const format = writeFormat(request.responseFormat)
  const effort = supportedEffort(options.flavour, request.reasoningEffort)
  if (effort.why !== undefined) drop('reasoning.effort', effort.why)
  return {
    model: options.model,
    input: writeItems(withAllResults(foldSystemTurns(request.messages, options)), options),
    stream: request.stream,
    store: false,
    ...writeSampling(sampling, request.sampling, options),
    ...writeTools(request, options),
    ...(format || verbosity ? { text: present({ format, verbosity }) } : {}),
    ...(effort.level === undefined ? {} : { reasoning: { effort: effort.level } }),
    ...present({ user: request.user, prompt_cache_key: promptCacheKey }),
    ...extras,
  }
}

function writeTools(request: ChatRequest, { flavour }: WriteRequestOptions): JsonObject {
  const { tools, toolChoice, parallelToolCalls } = request
  if (tools.length === 0) return {}
  const chosenName = typeof toolChoice === 'object' ? toolChoice.name : undefined
  const offersOnlyChosen = chosenName !== undefined && flavour.namedToolChoice === false
  const offered = offersOnlyChosen ? tools.filter(({ name }) => name === chosenName) : tools
  const choice =
    chosenName === undefined
      ? toolChoice
      : offersOnlyChosen
        ? 'required'
        : { type: 'function', name: chosenName }
  return {
    tools: offered.map(({ name, description, parameters, strict }) => ({
      type: 'function',
      name,
      ...present({ description }),
      parameters: parameters ?? { type: 'object', properties: {} },
      // The default is true in this API, and false in every other dialect.
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
