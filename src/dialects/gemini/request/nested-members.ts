import type { JsonObject } from '../../../lib/json/read.ts'
import { type KnownMembers, type ReportField, reportNested } from '../../shared/dropped-fields.ts'
import { camelCase, listIn, memberOf } from '../members.ts'

const blob: KnownMembers = { mimeType: true, data: true, displayName: true }

/** Parts without an equivalent are reported where they are read. */
const part: KnownMembers = {
  text: true,
  thought: true,
  thoughtSignature: true,
  inlineData: blob,
  fileData: { mimeType: true, fileUri: true },
  functionCall: { id: true, name: true, args: true },
  functionResponse: { id: true, name: true, response: true, parts: { inlineData: blob, fileData: true } },
  executableCode: true,
  codeExecutionResult: true,
  toolCall: true,
  toolResponse: true,
}

const functionDeclarations: KnownMembers = {
  name: true,
  description: true,
  strict: true,
  parameters: true,
  parametersJsonSchema: true,
}

/**
 * Reports members of parts and declarations that no other dialect has. Source: Gemini API reference, "Part" and
 * "FunctionDeclaration".
 */
export function reportNestedMembers(body: JsonObject, drop: ReportField): void {
  const report = (name: string, known: KnownMembers): void =>
    reportNested(memberOf(body, name), name, known, drop, camelCase)
  report('contents', { role: true, parts: part })
  report('systemInstruction', { role: true, parts: { text: true } })
  for (const tool of listIn(body, 'tools'))
    reportNested(
      memberOf(tool, 'functionDeclarations'),
      'tools.functionDeclarations',
      functionDeclarations,
      drop,
      camelCase,
    )
}
