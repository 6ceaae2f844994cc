import { filledTextOf, isObject, type JsonObject, objectsIn, present, textOf } from '../../lib/json/read.ts'

/**
 * A tool that the client runs, with its own item type for calls. In other dialects it is a function, and its calls are converted
 * back. Source: OpenAI API reference, "Create a model response", `tools` and `input`.
 */
export interface NativeTool {
  /** Its name as a function. */
  name: string
  description: string
  parameters: JsonObject
  callType: string
  outputType: string
  /** Members of the item that calls it, from the arguments of the function. */
  write(args: JsonObject): JsonObject
  /** The arguments, from the item. */
  read(item: JsonObject): JsonObject
  /** Content of a tool's result, from the item. */
  output(item: JsonObject): unknown
}

const text = { type: 'string' }
const texts = { type: 'array', items: text }
const whole = { type: 'integer' }

function form(properties: JsonObject, required: string[]): JsonObject {
  return { type: 'object', properties, required }
}

function objectOf(value: unknown): JsonObject {
  return isObject(value) ? value : {}
}

const nativeTools: ReadonlyMap<string, NativeTool> = new Map([
  [
    'tool_search',
    {
      name: 'tool_search',
      description: 'Searches for tools that can be called afterwards.',
      parameters: form({ query: text, limit: whole }, ['query']),
      callType: 'tool_search_call',
      outputType: 'tool_search_output',
      write: (args) => ({ execution: 'client', arguments: args }),
      read: (item) => objectOf(item.arguments),
      output: (item) => foundTools(item.tools),
    },
  ],
  [
    'local_shell',
    {
      name: 'local_shell',
      description: 'Runs a command on the computer of the user.',
      parameters: form({ command: texts, working_directory: text, timeout_ms: whole }, ['command']),
      callType: 'local_shell_call',
      outputType: 'local_shell_call_output',
      write: ({ command, env, ...args }) => ({
        action: { type: 'exec', command: listOf(command), env: objectOf(env), ...args },
      }),
      read: ({ action }) => {
        const { type: _type, ...args } = objectOf(action)
        return filled(args)
      },
      output: ({ output }) => output,
    },
  ],
  [
    'shell',
    {
      name: 'shell',
      description: 'Runs commands in a shell on the computer of the user, all at the same time.',
      parameters: form({ commands: texts, timeout_ms: whole, max_output_length: whole }, ['commands']),
      callType: 'shell_call',
      outputType: 'shell_call_output',
      write: ({ commands, ...args }) => ({
        action: { timeout_ms: null, max_output_length: null, ...args, commands: listOf(commands) },
      }),
      read: ({ action }) => filled(objectOf(action)),
      output: ({ output }) => shellOutput(output),
    },
  ],
  [
    'apply_patch',
    {
      name: 'apply_patch',
      description:
        'Creates, changes or deletes a file. The diff is in the V4A format: lines that begin with "+", "-" or a space, behind "@@".',
      parameters: form(
        {
          type: { type: 'string', enum: ['create_file', 'update_file', 'delete_file'] },
          path: text,
          diff: text,
        },
        ['type', 'path'],
      ),
      callType: 'apply_patch_call',
      outputType: 'apply_patch_call_output',
      write: (operation) => ({ operation }),
      read: ({ operation }) => objectOf(operation),
      output: ({ output, status }) => textOf(output) ?? textOf(status) ?? '',
    },
  ],
  ...['computer', 'computer_use_preview'].map((type): [string, NativeTool] => [
    type,
    {
      name: 'computer',
      description: 'Uses the screen, the mouse and the keyboard of a computer; the result is a screenshot.',
      parameters: form(
        {
          type: {
            type: 'string',
            enum: [
              'click',
              'double_click',
              'drag',
              'keypress',
              'move',
              'screenshot',
              'scroll',
              'type',
              'wait',
            ],
          },
          x: whole,
          y: whole,
          button: { type: 'string', enum: ['left', 'right', 'wheel', 'back', 'forward'] },
          scroll_x: whole,
          scroll_y: whole,
          keys: texts,
          text,
          path: { type: 'array', items: form({ x: whole, y: whole }, ['x', 'y']) },
        },
        ['type'],
      ),
      callType: 'computer_call',
      outputType: 'computer_call_output',
      write: (action) => ({ action, pending_safety_checks: [] }),
      read: ({ action, actions }) => objectOf(action ?? objectsIn(actions)[0]),
      output: ({ output }) => screenshot(output),
    },
  ]),
])

/** The tool of a definition; undefined for a tool that OpenAI runs. */
export function nativeToolOf(definition: JsonObject): NativeTool | undefined {
  if (definition.type === 'tool_search' && definition.execution !== 'client') return undefined
  const { environment } = definition
  const place = isObject(environment) ? environment.type : undefined
  if (definition.type === 'shell' && place !== undefined && place !== 'local') return undefined
  return nativeTools.get(textOf(definition.type) ?? '')
}

/** The tool that an item is a call of. */
export function toolOfCall(item: JsonObject): NativeTool | undefined {
  if (item.type === 'tool_search_call' && item.execution === 'server') return undefined
  return [...nativeTools.values()].find(({ callType }) => callType === item.type)
}

/** The tool that an item is an output of. */
export function toolOfOutput(item: JsonObject): NativeTool | undefined {
  if (item.type === 'tool_search_output' && item.execution === 'server') return undefined
  return [...nativeTools.values()].find(({ outputType }) => outputType === item.type)
}

function listOf(value: unknown): unknown[] {
  if (Array.isArray(value)) return value
  return value === undefined ? [] : [value]
}

function filled(members: JsonObject): JsonObject {
  return Object.fromEntries(Object.entries(members).filter(([, value]) => value !== null))
}

function foundTools(tools: unknown): string {
  const names = objectsIn(tools).flatMap((tool) => {
    const inner = tool.type === 'namespace' ? objectsIn(tool.tools) : [tool]
    return inner.map(({ name, description }) => [name, description].filter(Boolean).join(': '))
  })
  return names.length === 0 ? 'No tools were found.' : `These tools can be called now:\n${names.join('\n')}`
}

function shellOutput(output: unknown): string {
  if (typeof output === 'string') return output
  return JSON.stringify(
    objectsIn(output).map(({ stdout, stderr, outcome }) => present({ stdout, stderr, outcome })),
  )
}

function screenshot(output: unknown): unknown {
  const url = isObject(output) ? filledTextOf(output.image_url) : undefined
  return url === undefined ? '' : [{ type: 'input_image', image_url: url }]
}
