import { filledTextOf, isObject, type JsonObject, objectsIn, present, textOf } from '../../lib/json/read.ts'

/**
 * A tool that the client runs and whose calls have their own item type. In other dialects it is a function, and its calls are
 * converted back. Source: OpenAI API reference, "Create a model response", `tools` and `input`.
 */
export interface NativeTool {
  /** The name of the function. */
  name: string
  description: string
  parameters: JsonObject
  callType: string
  outputType: string
  /** Converts the arguments of the function to members of the call's item. */
  write(args: JsonObject): JsonObject
  /** Converts a call's item to the arguments of the function. */
  read(item: JsonObject): JsonObject
  /** The content of a result, from its item. */
  output(item: JsonObject): unknown
}

const string = { type: 'string' }
const stringList = { type: 'array', items: string }
const integer = { type: 'integer' }

function objectSchema(properties: JsonObject, required: string[]): JsonObject {
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
      parameters: objectSchema({ query: string, limit: integer }, ['query']),
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
      description: "Runs a command on the user's computer.",
      parameters: objectSchema({ command: stringList, working_directory: string, timeout_ms: integer }, [
        'command',
      ]),
      callType: 'local_shell_call',
      outputType: 'local_shell_call_output',
      write: ({ command, env, ...args }) => ({
        action: { type: 'exec', command: listOf(command), env: objectOf(env), ...args },
      }),
      read: ({ action }) => {
        const { type: _type, ...args } = objectOf(action)
        return withoutNulls(args)
      },
      output: ({ output }) => output,
    },
  ],
  [
    'shell',
    {
      name: 'shell',
      description: "Runs commands in parallel in a shell on the user's computer.",
      parameters: objectSchema({ commands: stringList, timeout_ms: integer, max_output_length: integer }, [
        'commands',
      ]),
      callType: 'shell_call',
      outputType: 'shell_call_output',
      write: ({ commands, ...args }) => ({
        action: { timeout_ms: null, max_output_length: null, ...args, commands: listOf(commands) },
      }),
      read: ({ action }) => withoutNulls(objectOf(action)),
      output: ({ output }) => shellOutput(output),
    },
  ],
  [
    'apply_patch',
    {
      name: 'apply_patch',
      description:
        'Creates, changes or deletes a file. The diff is in the V4A format: lines that begin with "+", "-" or a space, after "@@".',
      parameters: objectSchema(
        {
          type: { type: 'string', enum: ['create_file', 'update_file', 'delete_file'] },
          path: string,
          diff: string,
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
      description: 'Controls the screen, mouse and keyboard of a computer; returns a screenshot.',
      parameters: objectSchema(
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
          x: integer,
          y: integer,
          button: { type: 'string', enum: ['left', 'right', 'wheel', 'back', 'forward'] },
          scroll_x: integer,
          scroll_y: integer,
          keys: stringList,
          text: string,
          path: { type: 'array', items: objectSchema({ x: integer, y: integer }, ['x', 'y']) },
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
  const environmentType = isObject(environment) ? environment.type : undefined
  const isHosted = environmentType !== undefined && environmentType !== 'local'
  if (definition.type === 'shell' && isHosted) return undefined
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

function withoutNulls(members: JsonObject): JsonObject {
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
