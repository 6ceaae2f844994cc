import { isObject } from '../../lib/json/read.ts'
export interface MockTool {
  name: string
  /** JSON Schema of its arguments, as the client sent it. */
  parameters: unknown
}

/** The parts of an OpenAI chat request that the mock uses. */
export interface MockRequest {
  stream: boolean
  includeUsage: boolean
  messageCount: number
  /** Characters of all texts, tool calls and tool definitions. */
  promptCharacters: number
  imageCount: number
  lastUserText: string
  /** The tool's result, if a tool message ends the conversation. */
  toolResult: string | undefined
  tools: MockTool[]
  toolChoice: 'none' | 'auto' | 'required' | { name: string }
  format: { type: 'text' } | { type: 'json' } | { type: 'schema'; schema: unknown }
  reasoning: boolean
  /** Infinity if the request sets no limit. */
  maxTokens: number
  /** Number of choices, 1 to 128. */
  choices: number
  stop: string[]
}

/** Reads a body that the router's schema has validated; undefined if it has no messages. */
export function readMockRequest(bytes: Buffer): MockRequest | undefined {
  const body = parse(bytes)
  if (!isObject(body) || !Array.isArray(body.messages) || body.messages.length === 0) return undefined
  const messages = body.messages.filter(isObject)
  const last = messages.at(-1)
  const tools = readTools(body.tools)
  return {
    stream: body.stream === true,
    includeUsage: isObject(body.stream_options) && body.stream_options.include_usage === true,
    messageCount: messages.length,
    promptCharacters:
      count(messages, charactersOf) + (tools.length > 0 ? JSON.stringify(body.tools).length : 0),
    imageCount: count(messages, imagesOf),
    lastUserText: textOf(messages.findLast((message) => message.role === 'user')?.content),
    toolResult: last?.role === 'tool' ? textOf(last.content) : undefined,
    tools,
    toolChoice: readToolChoice(body.tool_choice),
    format: readFormat(body.response_format),
    reasoning: typeof body.reasoning_effort === 'string' && body.reasoning_effort !== 'none',
    maxTokens: positive(body.max_completion_tokens) ?? positive(body.max_tokens) ?? Number.POSITIVE_INFINITY,
    choices: Math.min(Math.floor(positive(body.n) ?? 1), 128),
    stop: [body.stop].flat().filter((text): text is string => typeof text === 'string' && text !== ''),
  }
}

function parse(bytes: Buffer): unknown {
  try {
    return JSON.parse(bytes.toString('utf8'))
  } catch {
    return undefined // reported like a body without messages
  }
}

function positive(value: unknown): number | undefined {
  return typeof value === 'number' && value >= 1 ? value : undefined
}

function count(
  messages: Record<string, unknown>[],
  of: (message: Record<string, unknown>) => number,
): number {
  return messages.reduce((sum, message) => sum + of(message), 0)
}

function charactersOf(message: Record<string, unknown>): number {
  return textOf(message.content).length + (message.tool_calls ? JSON.stringify(message.tool_calls).length : 0)
}

function imagesOf(message: Record<string, unknown>): number {
  if (!Array.isArray(message.content)) return 0
  return message.content.filter((part) => isObject(part) && part.type === 'image_url').length
}

function textOf(content: unknown): string {
  if (typeof content === 'string') return content
  if (!Array.isArray(content)) return ''
  return content
    .filter(isObject)
    .map((part) => part.text)
    .filter((text) => typeof text === 'string')
    .join('\n')
}

function readTools(tools: unknown): MockTool[] {
  if (!Array.isArray(tools)) return []
  return tools.flatMap((tool) => {
    const named: unknown = isObject(tool) ? (tool.function ?? tool.custom) : undefined
    return isObject(named) && typeof named.name === 'string'
      ? [{ name: named.name, parameters: named.parameters }]
      : []
  })
}

function readToolChoice(choice: unknown): MockRequest['toolChoice'] {
  if (choice === 'none' || choice === 'required') return choice
  const named: unknown = isObject(choice) ? (choice.function ?? choice.custom) : undefined
  return isObject(named) && typeof named.name === 'string' ? { name: named.name } : 'auto'
}

function readFormat(format: unknown): MockRequest['format'] {
  if (!isObject(format)) return { type: 'text' }
  if (format.type === 'json_object') return { type: 'json' }
  if (format.type !== 'json_schema') return { type: 'text' }
  const schema: unknown = isObject(format.json_schema) ? format.json_schema.schema : undefined
  return schema === undefined ? { type: 'json' } : { type: 'schema', schema }
}
