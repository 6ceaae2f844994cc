import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { versions } from 'node:process'
import { didYouMean } from '../lib/did-you-mean.ts'
import { version } from '../lib/version.ts'
import { ConfigError } from '../sdk/errors.ts'
import { type Command, type CommandContext, namingOption, readCommandLine } from './command-line.ts'
import { usage, usageOf } from './help.ts'

const root = join(import.meta.dirname, '../..')

/** Commands load their modules on demand, so that small ones start quickly. */
const commands: Readonly<Record<string, () => Promise<Command> | Command>> = {
  check: async () => (await import('./check.ts')).check,
  discover: async () => (await import('./discover.ts')).discover,
  init: async () => (await import('./discover.ts')).init,
  models: async () => (await import('./models.ts')).models,
  clients: async () => (await import('./directory.ts')).recordCommand('clients'),
  groups: async () => (await import('./directory.ts')).recordCommand('groups'),
  prices: async () => (await import('./directory.ts')).recordCommand('prices'),
  budgets: async () => (await import('./directory.ts')).recordCommand('budgets'),
  keys: async () => (await import('./directory.ts')).keysCommand,
  import: async () => (await import('./import.ts')).importCommand,
  audit: async () => (await import('./directory.ts')).auditCommand,
  usage: async () => (await import('./usage.ts')).usageCommand,
  index: async () => (await import('./index-documents/index.ts')).indexDocuments,
  auto: async () => (await import('./auto-eval.ts')).autoCommand,
  targets: async () => (await import('./targets.ts')).targets,
  healthcheck: async () => (await import('./healthcheck.ts')).healthcheck,
  schema: () => printing(readFileSync(join(root, 'resources/models-config.schema.json'), 'utf8')),
  version: () => printing(`llm-router ${version}, Node.js ${versions.node}\n`),
  help: () => help,
}

/** Maximum number of arguments of a command; the others check theirs themselves. */
const maxArguments: Readonly<Record<string, number>> = {
  serve: 0,
  check: 1,
  models: 1,
  healthcheck: 1,
  audit: 0,
  schema: 0,
  version: 0,
}

export interface CliProcess extends Omit<CommandContext, 'flags'> {
  /**
   * Starts the router with these environment variables; it runs until a signal ends it. `nameOption` rewrites an error of the
   * settings to name the option that set the variable.
   */
  serve(env: CommandContext['env'], nameOption: (error: string) => string): Promise<void>
}

/** Runs the command in these arguments. Resolves to the exit code, or to undefined if the router was started. */
export async function runCli(argv: readonly string[], caller: CliProcess): Promise<number | undefined> {
  const line = readCommandLine(argv)
  if ('error' in line) {
    caller.printError(`${line.error}\nsee '${caller.program} --help'\n`)
    return 2
  }
  const { command, args, flags } = line
  const nameOption = (error: string): string => namingOption(error, line.env)
  const env = { ...shippedFiles(), ...caller.env, ...line.env }
  const unexpected = args[maxArguments[command] ?? args.length]
  if (unexpected !== undefined) {
    caller.printError(unexpectedArgument(command, unexpected, caller.program))
    return 2
  }
  if (command === 'serve') {
    await caller.serve(env, nameOption)
    return undefined
  }
  const load = Object.hasOwn(commands, command) ? commands[command] : undefined
  if (!load) {
    caller.printError(unknownCommand(command, caller.program))
    return 2
  }
  const { program, print, printError } = caller
  try {
    return await (await load())(args, { program, flags, env, print, printError })
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error
    for (const message of error.errors) printError(`${nameOption(message)}\n`)
    return 2
  }
}

/** `help [command]` */
const help: Command = async ([name], { program, print, printError }) => {
  const text = name === undefined ? usage(program) : usageOf(name, program)
  if (text === undefined) printError(unknownCommand(name ?? '', program))
  else print(text)
  return text === undefined ? 2 : 0
}

function unknownCommand(name: string, program: string): string {
  const hint = isConfigFile(name)
    ? `; did you mean "--config ${name}"?`
    : didYouMean(name, [...Object.keys(commands), 'serve'])
  return `unknown command ${name}${hint}\nsee '${program} --help'\n`
}

function unexpectedArgument(command: string, argument: string, program: string): string {
  const hint = command === 'serve' && isConfigFile(argument) ? `; did you mean "--config ${argument}"?` : ''
  return `unexpected argument ${argument} of ${command}${hint}\nsee '${program} ${command} --help'\n`
}

function isConfigFile(name: string): boolean {
  return /\.(?:jsonc?|ya?ml)$/i.test(name)
}

function printing(text: string): Command {
  return async (_args, { print }) => {
    print(text)
    return 0
  }
}

/** Settings for the files that come with the router, for starts from other directories. */
function shippedFiles(): Record<string, string> {
  const files = {
    LLM_ROUTER_MODELS_CONFIG: 'resources/configs/models-config.json',
    LLM_ROUTER_PROMPTS_DIR: 'resources/prompts',
  }
  const missing = Object.entries(files).filter(([, file]) => !existsSync(file))
  return Object.fromEntries(missing.map(([variable, file]) => [variable, join(root, file)]))
}
