import { parseArgs } from 'node:util'
import { didYouMean } from '../lib/did-you-mean.ts'
import type { Surroundings } from './command.ts'

const options = {
  config: { type: 'string', short: 'c' },
  port: { type: 'string', short: 'p' },
  host: { type: 'string' },
  'log-level': { type: 'string' },
  'log-format': { type: 'string' },
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

export interface CommandLine {
  command: string
  args: string[]
  /** Variables that options stand for. */
  env: Surroundings['env']
}

/** The text of a fault where the arguments cannot be read. Options may stand before the command. */
export function readCommandLine(argv: readonly string[]): CommandLine | { fault: string } {
  let parsed: ReturnType<typeof parse>
  try {
    parsed = parse(argv)
  } catch (error) {
    return { fault: faultOf(error) }
  }
  const { values, positionals } = parsed
  const [command = 'serve', ...args] = positionals
  const env: Surroundings['env'] = {}
  for (const [name, variable] of Object.entries(variableOf)) {
    const value = values[name as keyof typeof variableOf] // the keys of that very object
    if (value !== undefined) env[variable] = value
  }
  if (values.help) return { command: 'help', args: [], env }
  if (values.version) return { command: 'version', args: [], env }
  return { command, args, env }
}

function parse(argv: readonly string[]) {
  return parseArgs({ args: [...argv], options, allowPositionals: true, strict: true })
}

function faultOf(error: unknown): string {
  const message = error instanceof Error ? error.message : String(error)
  const unknown = /^Unknown option '(-{1,2}[^']*)'/.exec(message)?.[1]
  if (unknown === undefined) return message.split('. ')[0] ?? message
  const known = Object.keys(options).map((name) => `--${name}`)
  return `unknown option ${unknown}${didYouMean(unknown, known)}`
}
