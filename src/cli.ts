import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import {
  blamedOnOption,
  type Command,
  type CommandContext,
  type CommandLine,
  programName,
  readCommandLine,
} from './cli/command-line.ts'
import { usage, usageOf } from './cli/help.ts'
import { didYouMean } from './lib/did-you-mean.ts'
import { version } from './lib/version.ts'
import { nodeError } from './runtime/node-floor.js'
import { ConfigError } from './sdk/errors.ts'

const root = join(import.meta.dirname, '..')

/** Each command loads its own modules, so that small commands start quickly. */
const commands: Readonly<Record<string, () => Promise<Command> | Command>> = {
  check: async () => (await import('./cli/check.ts')).check,
  discover: async () => (await import('./cli/discover.ts')).discover,
  init: async () => (await import('./cli/discover.ts')).init,
  models: async () => (await import('./cli/models.ts')).models,
  clients: async () => (await import('./cli/directory.ts')).recordCommand('clients'),
  groups: async () => (await import('./cli/directory.ts')).recordCommand('groups'),
  prices: async () => (await import('./cli/directory.ts')).recordCommand('prices'),
  budgets: async () => (await import('./cli/directory.ts')).recordCommand('budgets'),
  keys: async () => (await import('./cli/directory.ts')).keysCommand,
  import: async () => (await import('./cli/import.ts')).importCommand,
  audit: async () => (await import('./cli/directory.ts')).auditCommand,
  usage: async () => (await import('./cli/usage.ts')).usageCommand,
  targets: async () => (await import('./cli/targets.ts')).targets,
  healthcheck: async () => (await import('./cli/healthcheck.ts')).healthcheck,
  schema: () => printing(readFileSync(join(root, 'resources/models-config.schema.json'), 'utf8')),
  version: () => printing(`llm-router ${version}, Node.js ${process.versions.node}\n`),
  help:
    () =>
    async ([name], { print, printError }) => {
      const text = name === undefined ? usage(program) : usageOf(name, program)
      if (text === undefined) printError(unknownCommand(name ?? ''))
      else print(text)
      return text === undefined ? 2 : 0
    },
}

const tooOld = nodeError(process.versions.node)
if (tooOld !== undefined) {
  process.stderr.write(`${tooOld}\n`)
  process.exit(1)
}
const program = programName(process.argv, process.env.LLM_ROUTER_COMMAND)
// A message for people only; the settings know no such variable.
delete process.env.LLM_ROUTER_COMMAND
const line = readCommandLine(process.argv.slice(2))
if ('error' in line) {
  process.stderr.write(`${line.error}\nsee '${program} --help'\n`)
  process.exit(2)
}
const env = { ...ownFiles(), ...process.env, ...line.env }
if (line.command === 'serve') {
  Object.assign(process.env, env)
  const { operatorKeyFor, operatorKeyText } = await import('./cli/operator-key.ts')
  // Cluster workers inherit the primary's key through the environment.
  const operatorKey = operatorKeyFor(env)
  if (operatorKey !== undefined) {
    process.env.LLM_ROUTER_ADMIN_KEY = operatorKey
    process.stderr.write(operatorKeyText(operatorKey))
  }
  const { serve } = await import('./serve.ts')
  const { env: given } = line
  await serve((error) => blamedOnOption(error, given))
} else {
  process.exit(await run(line))
}

async function run({ command: name, args, flags, env: given }: CommandLine): Promise<number> {
  const load = Object.hasOwn(commands, name) ? commands[name] : undefined
  if (!load) {
    process.stderr.write(unknownCommand(name))
    return 2
  }
  const context: CommandContext = {
    program,
    flags,
    env,
    print: (text) => void process.stdout.write(text),
    printError: (text) => void process.stderr.write(text),
  }
  try {
    return await (await load())(args, context)
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error
    for (const message of error.errors) process.stderr.write(`${blamedOnOption(message, given)}\n`)
    return 2
  }
}

function unknownCommand(name: string): string {
  const hint = didYouMean(name, [...Object.keys(commands), 'serve'])
  return `unknown command ${name}${hint}\nsee '${program} --help'\n`
}

function printing(text: string): Command {
  return async (_args, { print }) => {
    print(text)
    return 0
  }
}

/** Lets the router find the files shipped with it when it is started from another directory. */
function ownFiles(): Record<string, string> {
  const files = {
    LLM_ROUTER_MODELS_CONFIG: 'resources/configs/models-config.json',
    LLM_ROUTER_PROMPTS_DIR: 'resources/prompts',
  }
  const missing = Object.entries(files).filter(([, file]) => !existsSync(file))
  return Object.fromEntries(missing.map(([variable, file]) => [variable, join(root, file)]))
}
