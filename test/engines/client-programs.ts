import { join } from 'node:path'
import { sectionText } from './page.ts'
import type { ToolCall } from './scripted-model.ts'

/** A command-line program, and how its model reads, edits and runs with the tools that the program offers. */
export interface ClientProgram {
  /** Its heading in docs/clients.md. */
  heading: string
  npmPackage: string
  /** Path below the user's home directory of the file that the page shows, and the language of that block. */
  configFile?: { path: string; language: string }
  /** Arguments after the documented command that make it do this task without a terminal. */
  headless(task: string): string[]
  /** Settings only for these tests, below the home directory. */
  files?: Record<string, string>
  env?: Record<string, string>
  read(path: string): ToolCall
  /** Replaces `red` by `blue` in notes.txt, which is at this path. */
  edit(path: string): ToolCall
  run(command: string): ToolCall
  /** Arguments of consecutive runs in one project in which it summarizes the conversation and continues from the summary. */
  compaction?: readonly string[][]
  /** Registers the MCP server of these tests under the name `notes`. */
  mcp?: { args?: (script: string) => string[]; config?: (script: string) => string; tool: string }
}

const patch = ['*** Begin Patch', '*** Update File: notes.txt', '@@', '-colour = red', '+colour = blue']
// Without a terminal their pseudo-terminals lose what a command prints.
const plainShell = JSON.stringify({ tools: { shell: { enableInteractiveShell: false } } })
/**
 * They stop reading shortly after a command has exited, even if its pipe still holds output. On a busy machine the whole output
 * of a short command can be missing.
 */
const unhurried = (command: string): string => `${command}; sleep 1`

export const claudeCode: ClientProgram = {
  heading: 'Claude Code',
  npmPackage: '@anthropic-ai/claude-code',
  headless: (task) => [
    '-p',
    task,
    '--permission-mode',
    'acceptEdits',
    '--allowedTools',
    'Bash,mcp__notes__word',
  ],
  compaction: [
    ['-p', 'Say hello'],
    ['-p', '/compact', '--continue'],
    ['-p', 'Go on', '--continue'],
  ],
  read: (file_path) => ({ name: 'Read', args: { file_path } }),
  edit: (file_path) => ({ name: 'Edit', args: { file_path, old_string: 'red', new_string: 'blue' } }),
  run: (command) => ({ name: 'Bash', args: { command, description: 'Run a command' } }),
  mcp: {
    args: (script) => [
      '--strict-mcp-config',
      '--mcp-config',
      JSON.stringify({ mcpServers: { notes: { command: process.execPath, args: [script] } } }),
    ],
    tool: 'mcp__notes__word',
  },
}

export const codex: ClientProgram = {
  heading: 'Codex',
  npmPackage: '@openai/codex',
  configFile: { path: '.codex/config.toml', language: 'toml' },
  headless: (task) => ['exec', '--skip-git-repo-check', '--dangerously-bypass-approvals-and-sandbox', task],
  // The scripted model counts 120 tokens in every response.
  compaction: [
    ['exec', '--skip-git-repo-check', '--dangerously-bypass-approvals-and-sandbox'].concat([
      '-c',
      'model_auto_compact_token_limit=100',
      'List the files',
    ]),
  ],
  read: (path) => ({ name: 'exec_command', args: { cmd: `cat ${path}` } }),
  edit: () => ({
    name: 'exec_command',
    args: { cmd: ["apply_patch <<'EOF'", ...patch, '*** End Patch', 'EOF'].join('\n') },
  }),
  run: (cmd) => ({ name: 'exec_command', args: { cmd } }),
  mcp: {
    config: (script) =>
      `\n[mcp_servers.notes]\ncommand = ${JSON.stringify(process.execPath)}\nargs = [${JSON.stringify(script)}]\n`,
    tool: 'mcp__notes__word',
  },
}

const opencode: ClientProgram = {
  heading: 'opencode',
  npmPackage: 'opencode-ai',
  configFile: { path: '.config/opencode/opencode.json', language: 'json' },
  headless: (task) => ['run', task],
  env: { OPENCODE_PERMISSION: JSON.stringify({ edit: 'allow', bash: 'allow' }) },
  read: (filePath) => ({ name: 'read', args: { filePath } }),
  edit: (filePath) => ({ name: 'edit', args: { filePath, oldString: 'red', newString: 'blue' } }),
  run: (command) => ({ name: 'bash', args: { command, description: 'Run a command' } }),
}

const qwenCode: ClientProgram = {
  heading: 'Qwen Code',
  npmPackage: '@qwen-code/qwen-code',
  headless: (task) => ['--yolo', '-p', task],
  files: { '.qwen/settings.json': plainShell },
  read: (file_path) => ({ name: 'read_file', args: { file_path } }),
  edit: (file_path) => ({ name: 'edit', args: { file_path, old_string: 'red', new_string: 'blue' } }),
  run: (command) => ({
    name: 'run_shell_command',
    args: { command: unhurried(command), is_background: false, description: 'Run a command' },
  }),
}

const geminiCli: ClientProgram = {
  heading: 'Gemini CLI',
  npmPackage: '@google/gemini-cli',
  configFile: { path: '.gemini/settings.json', language: 'json' },
  headless: (task) => ['--yolo', '-p', task],
  env: { GEMINI_CLI_TRUST_WORKSPACE: 'true' },
  read: (file_path) => ({ name: 'read_file', args: { file_path } }),
  edit: (file_path) => ({
    name: 'replace',
    args: { file_path, old_string: 'red', new_string: 'blue', instruction: 'Make the colour blue' },
  }),
  run: (command) => ({
    name: 'run_shell_command',
    args: { command: unhurried(command), description: 'Run a command' },
  }),
}

const continueCli: ClientProgram = {
  heading: 'Continue',
  npmPackage: '@continuedev/cli',
  configFile: { path: '.continue/config.yaml', language: 'yaml' },
  headless: (task) => ['-p', task, '--auto'],
  read: (filepath) => ({ name: 'Read', args: { filepath } }),
  edit: (file_path) => ({ name: 'Edit', args: { file_path, old_string: 'red', new_string: 'blue' } }),
  run: (command) => ({ name: 'Bash', args: { command } }),
}

const cline: ClientProgram = {
  heading: 'Cline',
  npmPackage: 'cline',
  // Otherwise a separate server keeps running in the background.
  env: { CLINE_SESSION_BACKEND_MODE: 'local' },
  headless: (task) => [task],
  read: (path) => ({ name: 'read_files', args: { files: [{ path }] } }),
  edit: (path) => ({ name: 'editor', args: { path, old_text: 'red', new_text: 'blue' } }),
  run: (command) => ({ name: 'run_commands', args: { commands: [command] } }),
}

export const clientPrograms: readonly ClientProgram[] = [
  claudeCode,
  codex,
  opencode,
  qwenCode,
  geminiCli,
  continueCli,
  cline,
]

/** The files of the user's home directory, by path. */
export function filesOf(
  program: ClientProgram,
  routerUrl: string,
  mcpScript?: string,
): Record<string, string> {
  const { configFile, files = {}, mcp, heading } = program
  if (!configFile) return files
  const added = mcpScript && mcp?.config ? mcp.config(mcpScript) : ''
  return { ...files, [configFile.path]: sectionText(heading, configFile.language, routerUrl) + added }
}

export const notesServer = join(import.meta.dirname, 'notes-server.ts')
