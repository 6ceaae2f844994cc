import type { JsonObject } from '../../../lib/json/read.ts'
import { type KnownMembers, type ReportField, reportNested } from '../../shared/dropped-fields.ts'

const functionCall: KnownMembers = { name: true, arguments: true }

/** Annotations belong to OpenAI's responses, which clients send back. */
const message: KnownMembers = {
  role: true,
  name: true,
  tool_call_id: true,
  refusal: true,
  cache_control: true,
  annotations: true,
  reasoning: true,
  reasoning_content: true,
  function_call: functionCall,
  content: {
    type: true,
    text: true,
    refusal: true,
    cache_control: true,
    annotations: true,
    detail: true,
    image_url: { url: true, detail: true },
    input_audio: { data: true, format: true },
    file: { file_data: true, file_id: true, filename: true },
  },
  tool_calls: {
    id: true,
    index: true,
    type: true,
    cache_control: true,
    extra_content: true,
    provider_specific_fields: { thought_signature: true },
    function: functionCall,
    custom: { name: true, input: true },
  },
}

const definition: KnownMembers = {
  name: true,
  description: true,
  parameters: true,
  strict: true,
  cache_control: true,
}

const tool: KnownMembers = {
  type: true,
  format: true,
  ...definition,
  function: definition,
  custom: { name: true, description: true, format: true },
}

/** Reports members of messages, tools and functions that have no equivalent in other dialects. */
export function reportNestedMembers(body: JsonObject, report: ReportField): void {
  reportNested(body.messages, 'messages', message, report)
  reportNested(body.tools, 'tools', tool, report)
  reportNested(body.functions, 'functions', definition, report)
}
