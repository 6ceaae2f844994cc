import { filledTextOf, type JsonObject, numberOf } from '../../../lib/json/read.ts'
import type { ToolDefinition } from '../../../sdk/chat.ts'

/*
 * Tools that Anthropic defines and the client runs. The model calls them with a plain `tool_use` whose input has a fixed
 * schema, so any model can call them as functions. Source: Anthropic documentation, "Bash tool", "Text editor tool", "Memory
 * tool" and "Computer use tool".
 */

const string = { type: 'string' }
const integer = { type: 'integer' }
const pair = { type: 'array', items: integer, minItems: 2, maxItems: 2 }

function oneOf(...values: string[]): JsonObject {
  return { type: 'string', enum: values }
}

function objectSchema(properties: JsonObject, required: string[] = []): JsonObject {
  return { type: 'object', properties, required }
}

const editMembers = {
  path: string,
  file_text: string,
  view_range: pair,
  old_str: string,
  new_str: string,
  insert_line: integer,
  insert_text: string,
}

interface ClientToolType {
  prefix: string
  name: string
  describe(tool: JsonObject): string
  parameters(type: string): JsonObject
}

const clientToolTypes: readonly ClientToolType[] = [
  {
    prefix: 'bash_',
    name: 'bash',
    describe: () =>
      'Runs a command in a bash session that keeps its state. restart: true begins a new session.',
    parameters: () => objectSchema({ command: string, restart: { type: 'boolean' } }),
  },
  {
    prefix: 'text_editor_',
    name: 'str_replace_based_edit_tool',
    describe: () =>
      'Views, creates and edits files. view: path, view_range. create: path, file_text. str_replace: path, old_str, new_str. insert: path, insert_line and the text.',
    parameters: (type) =>
      objectSchema(
        {
          // The oldest versions have undo_edit, and take the text to insert from new_str.
          command: oneOf('view', 'create', 'str_replace', 'insert', ...(isEarly(type) ? ['undo_edit'] : [])),
          ...editMembers,
        },
        ['command', 'path'],
      ),
  },
  {
    prefix: 'memory_',
    name: 'memory',
    describe: () =>
      'Keeps notes in files below /memories between conversations. view: path, view_range. create: path, file_text. str_replace: path, old_str, new_str. insert: path, insert_line, insert_text. delete: path. rename: old_path, new_path.',
    parameters: () =>
      objectSchema(
        {
          command: oneOf('view', 'create', 'str_replace', 'insert', 'delete', 'rename'),
          ...editMembers,
          old_path: string,
          new_path: string,
        },
        ['command'],
      ),
  },
  {
    prefix: 'computer_',
    name: 'computer',
    describe: ({ display_width_px: width, display_height_px: height }) => {
      const size =
        numberOf(width) === undefined ? '' : ` The screen is ${String(width)} x ${String(height)} pixels.`
      return `Controls the screen, mouse and keyboard of a computer; returns a screenshot.${size}`
    },
    parameters: () =>
      objectSchema(
        {
          action: oneOf(
            'key',
            'type',
            'mouse_move',
            'left_click',
            'left_click_drag',
            'right_click',
            'middle_click',
            'double_click',
            'triple_click',
            'left_mouse_down',
            'left_mouse_up',
            'screenshot',
            'scroll',
            'cursor_position',
            'hold_key',
            'wait',
            'zoom',
          ),
          text: string,
          coordinate: pair,
          start_coordinate: pair,
          scroll_direction: oneOf('up', 'down', 'left', 'right'),
          scroll_amount: integer,
          duration: { type: 'number' },
          region: { type: 'array', items: integer, minItems: 4, maxItems: 4 },
        },
        ['action'],
      ),
  },
]

/** The function that stands for a tool defined by Anthropic and run by the client; undefined for other tools. */
export function clientToolOf(tool: JsonObject): ToolDefinition | undefined {
  const type = filledTextOf(tool.type) ?? ''
  const toolType = clientToolTypes.find(({ prefix }) => new RegExp(`^${prefix}\\d+$`).test(type))
  return (
    toolType && {
      name: filledTextOf(tool.name) ?? toolType.name,
      description: toolType.describe(tool),
      parameters: toolType.parameters(type),
    }
  )
}

function isEarly(type: string): boolean {
  return type === 'text_editor_20241022' || type === 'text_editor_20250124'
}
