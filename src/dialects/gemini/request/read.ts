import { type JsonObject, present, textOf } from '../../../lib/json/read.ts'
import type { ChatRequest, ResponseFormat } from '../../../sdk/chat.ts'
import { badRequest } from '../../../sdk/errors.ts'
import type { ReportField } from '../../shared/dropped-fields.ts'
import { readSampling } from '../../shared/sampling.ts'
import { memberOf, objectIn, unknownIn } from '../members.ts'
import { readContents, readSystem } from './contents-read.ts'
import { readSchema } from './json-schema.ts'
import { reportNestedMembers } from './nested-members.ts'
import { readReasoning } from './reasoning.ts'
import { sampling } from './sampling.ts'
import { readTools } from './tools-read.ts'

const knownMembers = new Set([
  'contents',
  'systemInstruction',
  'tools',
  'toolConfig',
  'generationConfig',
  'model',
  'max_tokens',
])
const knownConfig = new Set([
  ...Object.values(sampling).flatMap((row) => ('names' in row ? row.names : [])),
  'responseMimeType',
  'responseSchema',
  'responseJsonSchema',
  'thinkingConfig',
])

/**
 * Reads a body of `generateContent`; the model and whether to stream are in the path. Throws `bad_request`. What the canonical
 * form cannot express is added to `extras`, so that the target's codec reports it.
 */
export function readRequest(body: JsonObject, stream: boolean): ChatRequest {
  const dropped: JsonObject = {}
  const drop = (field: string): void => {
    dropped[field] = true
  }
  const config = objectIn(body, 'generationConfig') ?? {}
  if (body.contents === undefined || body.contents === null)
    throw badRequest(
      "'contents' is required: the turns of the conversation",
      'contents',
      'missing_required_parameter',
    )
  if ((memberOf(body, 'cachedContent') ?? '') !== '')
    throw badRequest(
      "'cachedContent' is stored at Google, so this model's upstream cannot read it: send the content itself",
      'cachedContent',
    )
  reportNestedMembers(body, drop)
  for (const name of Object.keys(unknownIn(config, knownConfig))) dropped[`generationConfig.${name}`] = true
  return {
    model: '',
    stream,
    includeUsage: true,
    messages: [...readSystem(memberOf(body, 'systemInstruction')), ...readContents(body.contents, drop)],
    continuesAnswer: true,
    sampling: readSampling(sampling, config),
    ...readTools(body, drop),
    ...readReasoning(config),
    ...present({ responseFormat: readFormat(config, drop) }),
    extras: { ...unknownIn(body, knownMembers), ...dropped },
  }
}

/** A schema with `text/x.enum` asks for one of its values without quotation marks, which other dialects cannot. */
function readFormat(config: JsonObject, drop: ReportField): ResponseFormat | undefined {
  const schema = readSchema(config, 'responseSchema', 'responseJsonSchema')
  const type = textOf(memberOf(config, 'responseMimeType'))
  if (type === 'text/x.enum') drop('generationConfig.responseMimeType')
  if (schema) return { type: 'schema', schema }
  return type === 'application/json' ? { type: 'json' } : undefined
}
