import { type JsonObject, objectsIn } from '../../../lib/json/read.ts'
import { type KnownMembers, type ReportField, reportNested } from '../../shared/dropped-fields.ts'

const block: KnownMembers = {
  type: true,
  text: true,
  cache_control: true,
  source: true,
  title: true,
  context: true,
  thinking: true,
  signature: true,
  data: true,
  id: true,
  name: true,
  input: true,
  tool_use_id: true,
  is_error: true,
  content: true,
  citations: { enabled: true },
}

const tool: KnownMembers = {
  type: true,
  name: true,
  description: true,
  input_schema: true,
  strict: true,
  cache_control: true,
}

/** Blocks of other types, and tools that run at Anthropic, are reported as a whole. */
const translatedTypes: ReadonlySet<unknown> = new Set([
  'text',
  'image',
  'document',
  'tool_use',
  'tool_result',
  'thinking',
])

/** Reports members of messages, blocks and tools that have no equivalent in other dialects. */
export function reportNestedMembers(body: JsonObject, report: ReportField): void {
  reportNested(body.messages, 'messages', { role: true, content: true }, report)
  for (const { content } of objectsIn(body.messages)) {
    const blocks = objectsIn(content).filter(({ type }) => translatedTypes.has(type))
    reportNested(blocks, 'messages.content', block, report)
  }
  reportNested(body.system, 'system', { type: true, text: true, cache_control: true }, report)
  const clientTools = objectsIn(body.tools).filter(({ type }) => (type ?? 'custom') === 'custom')
  reportNested(clientTools, 'tools', tool, report)
}
