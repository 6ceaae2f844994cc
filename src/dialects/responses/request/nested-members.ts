import { type JsonObject, objectsIn } from '../../../lib/json/read.ts'
import { type KnownMembers, type ReportField, reportNested } from '../../shared/dropped-fields.ts'

const item: KnownMembers = { type: true, id: true, status: true, phase: true }

/** Known members by item type, for the types that other dialects can carry. */
const items: Readonly<Record<string, KnownMembers>> = {
  message: {
    ...item,
    role: true,
    content: {
      type: true,
      text: true,
      refusal: true,
      annotations: true,
      logprobs: true,
      image_url: true,
      detail: true,
      file_id: true,
      file_data: true,
      file_url: true,
      filename: true,
      input_audio: true,
    },
  },
  function_call: { ...item, call_id: true, name: true, namespace: true, arguments: true },
  custom_tool_call: { ...item, call_id: true, name: true, namespace: true, input: true },
  function_call_output: { ...item, call_id: true, output: true, name: true, namespace: true },
}

const tool: KnownMembers = { type: true, name: true, description: true, parameters: true, strict: true }

/** Reports members of items and tools that have no equivalent in other dialects. */
export function reportNestedMembers(body: JsonObject, report: ReportField): void {
  for (const item of objectsIn(body.input)) {
    const known = items[typeof item.type === 'string' ? item.type : 'message']
    if (known) reportNested(item, 'input', known, report)
  }
  reportNested(
    objectsIn(body.tools).filter(({ type }) => type === 'function'),
    'tools',
    tool,
    report,
  )
}
