import { parseArgs } from 'node:util'
import { didYouMean } from '../lib/did-you-mean.ts'

/** Returns how the program was started, for commands in messages: `./run-rest-api.sh`, `llm-router`, or `node src/cli.ts`. */
export function programName(argv: readonly string[], typed: string | undefined): string {
  if (typed) return typed
  const script = argv[1] ?? ''
  return /\.[jt]s$/.test(script) ? `node ${script}` : 'llm-router'
}

const options = {
  config: { type: 'string', short: 'c' },
  port: { type: 'string', short: 'p' },
  host: { type: 'string' },
  'log-level': { type: 'string' },
  'log-format': { type: 'string' },
  profiles: { type: 'boolean' },
  role: { type: 'string' },
  url: { type: 'string' },
  force: { type: 'boolean' },
  name: { type: 'string' },
  model: { type: 'string' },
  help: { type: 'boolean', short: 'h' },
  version: { type: 'boolean', short: 'v' },
} as const

const variableOf = {
  config: 'LLM_ROUTER_MODELS_CONFIG',
  port: 'LLM_ROUTER_SERVER_PORT',
  host: 'LLM_ROUTER_SERVER_HOST',
  'log-level': 'LLM_ROUTER_LOG_LEVEL',
  'log-format': 'LLM_ROUTER_LOG_FORMAT',
} as const

export interface CommandFlags {
  /** `models`: list the profiles too. */
  profiles: boolean
  /** `keys create`: role to give to the client of the key. */
  role: string | undefined
  /** `index`: name of the index and its embedding model; undefined: those of the settings. */
  name?: string | undefined
  model?: string | undefined
  /** `targets`, `index`, `auto`: URL of the router; undefined: that of the settings. */
  url: string | undefined
  /**
   * `targets drain`: drain even the last usable target of a model. `index`: index the readable files even if others are not.
   */
  force: boolean
}

export interface CommandLine {
  command: string
  args: string[]
  /** Options of the command itself. */
  flags: CommandFlags
  /** Environment variables set by options. */
  env: CommandContext['env']
}

/** Parses the arguments. Returns an error message if they are invalid. Options may precede the command. */
export function readCommandLine(argv: readonly string[]): CommandLine | { error: string } {
  let parsed: ReturnType<typeof parse>
  try {
    parsed = parse(argv)
  } catch (error) {
    return { error: errorOf(error) }
  }
  const { values, positionals } = parsed
  const [command = 'serve', ...args] = positionals
  const env: CommandContext['env'] = {}
  for (const [name, variable] of Object.entries(variableOf)) {
    const value = values[name as keyof typeof variableOf] // the keys of variableOf
    if (value !== undefined) env[variable] = value
  }
  const { role, url, name, model, force = false, profiles = false } = values
  const flags = { profiles, role, url, force, name, model }
  if (values.help) return { command: 'help', args: positionals, flags, env }
  if (values.version) return { command: 'version', args: [], flags, env }
  if (flags.profiles && command !== 'models')
    return { error: '--profiles is an option of the command models' }
  if (flags.role !== undefined && command !== 'keys')
    return { error: '--role is an option of the command keys' }
  if (url !== undefined && !['targets', 'index', 'auto'].includes(command))
    return { error: '--url is an option of the commands targets, index and auto' }
  if (force && command !== 'targets' && command !== 'index')
    return { error: '--force is an option of the commands targets and index' }
  if ((name !== undefined || model !== undefined) && command !== 'index')
    return { error: '--name and --model are options of the command index' }
  return { command, args, flags, env }
}

function parse(argv: readonly string[]) {
  // Both spellings are common; parseArgs accepts only one.
  const args = argv.map((arg) => (arg === '-V' ? '-v' : arg))
  return parseArgs({ args, options, allowPositionals: true, strict: true })
}

function errorOf(error: unknown): string {
  const message = error instanceof Error ? error.message : String(error)
  const unknown = /^Unknown option '(-{1,2}[^']*)'/.exec(message)?.[1]
  if (unknown === undefined) return message.split('. ')[0] ?? message
  const known = Object.keys(options).map((name) => `--${name}`)
  return `unknown option ${unknown}${didYouMean(unknown, known)}`
}

/** Rewrites an error of the settings to name the option that set the variable. */
export function namingOption(error: string, env: CommandContext['env']): string {
  const [option, variable] = Object.entries(variableOf).find(([, name]) => error.startsWith(`${name}:`)) ?? []
  if (option === undefined || variable === undefined || env[variable] === undefined) return error
  return `--${option}${error.slice(variable.length)}`
}

/** The parts of the process that a command may use. */
export interface CommandContext {
  /** How the program was started, for commands in messages. */
  program: string
  flags: CommandFlags
  env: Record<string, string | undefined>
  /** Writes results to stdout. */
  print(text: string): void
  /** Writes messages to stderr. */
  printError(text: string): void
}

/** Resolves to the exit code: 0 for success, 1 for failure or a negative result, 2 for invalid configuration or arguments. */
export type Command = (args: readonly string[], context: CommandContext) => Promise<number>
