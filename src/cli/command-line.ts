import { parseArgs } from 'node:util'
import { didYouMean } from '../lib/did-you-mean.ts'

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
  help: { type: 'boolean', short: 'h' },
  version: { type: 'boolean', short: 'V' },
} as const

const variableOf = {
  config: 'LLM_ROUTER_MODELS_CONFIG',
  port: 'LLM_ROUTER_SERVER_PORT',
  host: 'LLM_ROUTER_SERVER_HOST',
  'log-level': 'LLM_ROUTER_LOG_LEVEL',
  'log-format': 'LLM_ROUTER_LOG_FORMAT',
} as const

export interface CommandFlags {
  /** `models`: what each model takes. */
  profiles: boolean
  /** `keys create`: the role of the client that the key is for. */
  role: string | undefined
  /** `targets`: address of the router; undefined: that of the settings. */
  url: string | undefined
  /** `targets drain`: also the last usable target of a model. */
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
    const value = values[name as keyof typeof variableOf] // the keys of that same object
    if (value !== undefined) env[variable] = value
  }
  const { role, url } = values
  const flags = { profiles: values.profiles === true, role, url, force: values.force === true }
  if (values.help) return { command: 'help', args: [], flags, env }
  if (values.version) return { command: 'version', args: [], flags, env }
  if (flags.profiles && command !== 'models')
    return { error: '--profiles is an option of the command models' }
  if (flags.role !== undefined && command !== 'keys')
    return { error: '--role is an option of the command keys' }
  if ((flags.url !== undefined || flags.force) && command !== 'targets')
    return { error: '--url and --force are options of the command targets' }
  return { command, args, flags, env }
}

function parse(argv: readonly string[]) {
  return parseArgs({ args: [...argv], options, allowPositionals: true, strict: true })
}

function errorOf(error: unknown): string {
  const message = error instanceof Error ? error.message : String(error)
  const unknown = /^Unknown option '(-{1,2}[^']*)'/.exec(message)?.[1]
  if (unknown === undefined) return message.split('. ')[0] ?? message
  const known = Object.keys(options).map((name) => `--${name}`)
  return `unknown option ${unknown}${didYouMean(unknown, known)}`
}

/** What a command may use of its process. */
export interface CommandContext {
  flags: CommandFlags
  env: Record<string, string | undefined>
  /** Writes results to stdout. */
  print(text: string): void
  /** Writes messages to stderr. */
  printError(text: string): void
}

/** Resolves to the exit code: 0 for success, 1 for "no" or a failure, 2 for an error in configuration or arguments. */
export type Command = (args: readonly string[], context: CommandContext) => Promise<number>

export const usage = `llm-router: one HTTP address in front of your model servers

Usage: llm-router [command] [options]

Commands
  serve               start the router (the default command)
  check [file]        report every error of models-config.json and of the settings
  discover [host...]  find model servers and write a models-config.json to stdout;
                      a host may have a port; this machine by default
  init [file] [host...]
                      write it to a new file (models-config.json)
  models [file]       list the models that would be served; with --profiles, what the
                      model of each server takes
  targets [list | drain ID [--force] | resume ID | reset ID | weight MODEL ID WEIGHT] [--url ADDRESS]
                      list and steer the servers of a running router, with the key
                      of LLM_ROUTER_ADMIN_KEY
  clients [list | get ID | create ID member=value... | change ID member=value... | remove ID]
  groups, prices, budgets [the same]
                      read and change them in the database
  keys [list [CLIENT] | create CLIENT [--role admin] | rotate ID | revoke ID]
                      their keys; "keys create --role admin" makes the first administrator
  import keys FILE, import litellm FILE...
                      move keys of a file, or of LiteLLM, into the database
  audit               print who changed what in the database
  usage [member=value...]
                      print usage: from, to, by=client,group,key,model,target, bucket,
                      client, group, model, format=csv
  healthcheck [url]   exit code 0 if the router answers
  schema              print the JSON Schema of models-config.json
  version             print the version

Options
  -c, --config <file>       LLM_ROUTER_MODELS_CONFIG
  -p, --port <number>       LLM_ROUTER_SERVER_PORT
      --host <address>      LLM_ROUTER_SERVER_HOST
      --log-level <level>   LLM_ROUTER_LOG_LEVEL
      --log-format <format> LLM_ROUTER_LOG_FORMAT (auto, json, pretty)
  -h, --help                print this text
  -V, --version             print the version

All other settings are environment variables: see README.md.
Exit codes: 0 success, 1 failure, 2 invalid configuration or arguments.
`
