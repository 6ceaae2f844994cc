import { userInfo } from 'node:os'
import type { TSchema } from '@sinclair/typebox'
import { databaseAddress, databaseAddressError } from '../lib/database-address.ts'
import { didYouMean } from '../lib/did-you-mean.ts'
import { ConfigError } from '../sdk/errors.ts'
import {
  type Actor,
  type Entities,
  type EntityName,
  NewKeySchema,
  RotationSchema,
  recordSchemas,
} from '../sdk/teams/directory.ts'
import type { CommandName, Commands } from '../stores/directory/commands.ts'
import type { Command, CommandContext } from './command-line.ts'

export type Run = <Name extends CommandName>(
  name: Name,
  input: Commands[Name]['in'],
) => Promise<Commands[Name]['out']>

type Verb = (args: readonly string[], context: CommandContext, run: Run) => Promise<unknown>

/** Maximum entries that a command prints; the API has pages for more. */
const maxListed = 1_000

/** `llm-router clients`, `groups`, `prices` and `budgets`, directly on the database. */
export function recordCommand(entity: EntityName): Command {
  const schema = recordSchemas[entity]
  return command(entity, {
    list: async (_args, _context, run) => (await run('list', { entity, limit: maxListed })).data.map(flat),
    get: async ([id], _context, run) => flat(await run('get', { entity, id: required(id, 'an id') })),
    create: async ([id, ...members], _context, run) => {
      const record = membersOf(schema, members) as Entities[typeof entity] // validated by the administration command
      return flat((await run('create', { entity, id: required(id, 'an id'), record })).stored)
    },
    change: async ([id, ...members], _context, run) =>
      flat(await run('change', { entity, id: required(id, 'an id'), changes: membersOf(schema, members) })),
    remove: async ([id], _context, run) => {
      await run('remove', { entity, id: required(id, 'an id') })
      return undefined
    },
  })
}

/** `llm-router keys`: `create --role admin` makes the first administrator. */
export const keysCommand: Command = command('keys', {
  list: async ([client], _context, run) => (await run('keys', { client, limit: maxListed })).data,
  async create([client, ...members], { flags: { role } }, run) {
    const id = client ?? required(role, 'the id of a client')
    if (role !== undefined) await giveRole(run, id, role)
    return (await run('createKey', { client: id, key: membersOf(NewKeySchema, members) })).stored
  },
  rotate: async ([id, ...members], _context, run) =>
    run('rotateKey', { id: required(id, 'the id of a key'), rotation: membersOf(RotationSchema, members) }),
  revoke: async ([id], _context, run) => run('revokeKey', { id: required(id, 'the id of a key') }),
})

/** `llm-router audit`: the latest changes. */
export const auditCommand: Command = command('audit', {
  list: async (_args, _context, run) => (await run('audit', { limit: maxListed })).data,
})

async function giveRole(run: Run, id: string, role: string): Promise<void> {
  const record = { role } as Entities['clients'] // validated by the administration command
  const isNew = await run('createUnlessExists', { entity: 'clients', id, record })
  if (!isNew) await run('change', { entity: 'clients', id, changes: record })
}

function command(name: string, verbs: Readonly<Record<string, Verb>>): Command {
  return async ([verb = 'list', ...args], context) => {
    const found = Object.hasOwn(verbs, verb) ? verbs[verb] : undefined
    const known = Object.keys(verbs)
    if (!found)
      throw new ConfigError([
        `${context.program} ${name} ${verb}: no such command; known: ${known.join(', ')}${didYouMean(verb, known)}`,
      ])
    const result = await onDatabase(context, (run) => found(args, context, run))
    if (result !== undefined) context.print(`${JSON.stringify(result, null, 2)}\n`)
    return 0
  }
}

/** Opens the database of the settings, runs administration commands on it, and closes it. */
export async function onDatabase<Result>(
  context: CommandContext,
  work: (run: Run) => Promise<Result>,
): Promise<Result> {
  const { run, close } = await openAdministration(context)
  try {
    return await work(run)
  } finally {
    await close()
  }
}

/** Opens the database of the settings. Routers may be running on it: they notice changes within a second. */
export async function openAdministration({
  env,
}: CommandContext): Promise<{ run: Run; close(): Promise<void> }> {
  const url = env.LLM_ROUTER_DATABASE_URL?.trim() ?? ''
  const address = databaseAddress(url)
  if (!address)
    throw new ConfigError([
      'LLM_ROUTER_DATABASE_URL must name the database, such as sqlite:/var/lib/llm-router/router.db or postgres://user:password@host/database',
    ])
  const invalid = databaseAddressError(url)
  if (invalid !== undefined) throw new ConfigError([`LLM_ROUTER_DATABASE_URL: ${invalid}`])
  const { openDatabase } = await import('../stores/database/open.ts')
  const { execute } = await import('../stores/directory/execute.ts')
  const database = await openDatabase(address, () => undefined)
  const actor: Actor = { id: userInfo().username, source: 'cli', address: '' }
  return {
    async run(name, input) {
      const result = await execute(database.db, { name, input, actor }, Date.now)
      if (result.error) throw new ConfigError([result.error.message])
      return result.ok
    },
    close: () => database.close(),
  }
}

function required(value: string | undefined, what: string): string {
  if (value === undefined) throw new ConfigError([`the command needs ${what}`])
  return value
}

function flat({ record, ...stored }: { record: object; id: string }): object {
  return { ...stored, ...record }
}

/** Parses arguments such as `models=small,large enabled=false group=null` according to the schema. */
export function membersOf(schema: TSchema, args: readonly string[]): Record<string, unknown> {
  return Object.fromEntries(
    args.map((arg) => {
      const [, name = '', text = ''] = /^([^=]+)=(.*)$/s.exec(arg) ?? []
      if (name === '') throw new ConfigError([`${arg}: expected field=value, such as description=text`])
      const known = Object.keys(schema.properties)
      if (!known.includes(name))
        throw new ConfigError([`no such field ${name}; known: ${known.join(', ')}${didYouMean(name, known)}`])
      return [name, memberValue(schema.properties[name], text)]
    }),
  )
}

function memberValue(schema: TSchema, text: string): unknown {
  const types = new Set([schema, ...(schema.anyOf ?? [])].map(({ type }: TSchema) => type))
  if (text === 'null' && types.has('null')) return null
  if (types.has('array')) return text.split(',').map((item) => item.trim())
  if (types.has('boolean')) return text === 'true' ? true : text === 'false' ? false : text
  if ((types.has('integer') || types.has('number')) && text.trim() !== '') return Number(text)
  return text
}
