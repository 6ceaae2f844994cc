import { readFileSync } from 'node:fs'
import { Redis, type RedisOptions } from 'ioredis'

export interface RedisAddress {
  /** `redis://` or `rediss://`; overrides the other members. */
  url: string | undefined
  host: string
  port: number
  db: number
  password: string | undefined
}

/** Replies keep the shapes of ioredis 5, which is the default. */
type Options = Omit<RedisOptions, 'replyMapping'>

/** A lease step as a Lua file; see its head for keys and arguments. */
export type LeaseStep = 'acquire' | 'renew' | 'release'

/** A connection for commands that must answer soon or fail, with the Lua files that it can run. */
export interface ScriptLink<Step extends string> {
  readonly commands: Redis
  run(step: Step, keys: readonly string[], args: readonly (string | number)[]): Promise<unknown>
  close(): void
}

/** The connection of the leases, and one that listens; both are closed at once. */
export interface RedisLink extends ScriptLink<LeaseStep> {
  readonly subscriber: Redis
}

/** Source of the keys and arguments of a step: the head of its Lua file. */
export function connectScripts<Step extends string>(
  address: RedisAddress,
  steps: readonly Step[],
  commandTimeoutMs = 250,
): ScriptLink<Step> {
  const commands = open(address, optionsOf(commandTimeoutMs))
  for (const step of steps) commands.defineCommand(step, { lua: luaOf(step) })
  return {
    commands,
    run: (step, keys, args) => runScript(commands, step, [keys.length, ...keys, ...args]),
    close: () => commands.disconnect(),
  }
}

/** The same with a connection that listens; both are closed at once. */
export function connectListening<Step extends string>(
  address: RedisAddress,
  steps: readonly Step[],
  commandTimeoutMs = 250,
): ScriptLink<Step> & Pick<RedisLink, 'subscriber'> {
  const link = connectScripts(address, steps, commandTimeoutMs)
  const subscriber = open(address, optionsOf(commandTimeoutMs))
  return {
    ...link,
    subscriber,
    close() {
      link.close()
      subscriber.disconnect()
    },
  }
}

export function connectRedis(address: RedisAddress, commandTimeoutMs = 250): RedisLink {
  return connectListening<LeaseStep>(address, ['acquire', 'renew', 'release'], commandTimeoutMs)
}

/**
 * No command waits for a Redis that is down, and none is resent by the client: the caller repeats it with the same token.
 * Redis may still execute a command that timed out here.
 */
function optionsOf(commandTimeoutMs: number): Options {
  return {
    commandTimeout: commandTimeoutMs,
    connectTimeout: 500,
    enableOfflineQueue: false,
    maxRetriesPerRequest: 0,
    autoResendUnfulfilledCommands: false,
    autoResubscribe: false,
    // It would need the right to CLIENT SETINFO, which older servers cannot give without the one to CLIENT KILL.
    disableClientInfo: true,
    retryStrategy: (times) => Math.min(1000, 50 * 2 ** Math.min(times, 10)) * (0.5 + Math.random() / 2),
  }
}

function open({ url, host, port, db, password }: RedisAddress, options: Options): Redis {
  const all: Options = { ...options, db, ...(password === undefined ? {} : { password }) }
  // Members of the URL override these.
  return url === undefined ? new Redis({ ...all, host, port }) : new Redis(url, all)
}

function luaOf(step: string): string {
  return readFileSync(new URL(`lua/${step}.lua`, import.meta.url), 'utf8')
}

/** ioredis puts a defined command on the connection as a method, which its types do not know. */
function runScript(redis: Redis, step: string, args: readonly (string | number)[]): Promise<unknown> {
  const command: unknown = Reflect.get(redis, step)
  if (typeof command !== 'function') throw new Error(`no command ${step}`)
  return Reflect.apply(command, redis, args)
}
